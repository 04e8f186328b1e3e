"""The texts of the notes in the example workflows, English first, then Chinese. The format is Markdown."""

PICTURE = """**Picture**

- One subject, in the middle, 60 % or more of the width or the height.
- Nothing that distracts, no captions, no watermark: moving letters deform.
- Sharp and lossless: PNG of the original. A JPEG that is saved as PNG keeps its blocks.
- No stretching: *Prepare Picture* crops or adds bars, never stretches. *crop_subject* crops around what the sentence \
names.

---

**图片**

- 一个主体，居中，占画面宽或高的 60% 以上。
- 没有干扰物、字幕和水印：文字动起来会变形。
- 清晰、无损：用原图的 PNG。JPEG 另存为 PNG 去不掉压缩块。
- 不拉伸：“准备图片”只裁剪或加边，从不拉伸；*crop_subject* 会围绕描述中的主体裁剪。
"""

SENTENCE = """**Sentence**

- The subject first, as the picture shows it: *A red car …*
- Then the action, in stages: *first …, then …, finally …*
- Concrete words: *slowly rolls to the right*, not *dynamic* or *stunning*.
- Then place, light and camera, briefly.
- Trouble? One action only.

The report of *Match Score* names the words to change. Camera, style and changes of light are not scored: a still \
picture cannot show them.

---

**描述**

- 先写主体，与图片一致：*一辆红色汽车……*
- 再分阶段写动作：*先……，然后……，最后……*
- 用具体的词：*缓缓向右行驶*，不用“充满张力”“震撼”。
- 最后简短地写环境、光线、镜头。
- 效果不好？只写一个动作。

“匹配度评分”的报告会指出要改的词。镜头、风格和光线变化不参与评分：静态图片看不出来。
"""

MATCH = """**Match before the card is spent**

70 and more: good. 40 to 70: doubtful. Below 40: poor.
*minimum_score* is the gate: below it the graph stops here, with the report. 0 never stops.

The score is only as good as the server's calibration: the one that ships was fitted on drawn pictures. With a scorer \
that you have not calibrated, set the gate to 0 and read the report.

---

**先看匹配度，再占用显卡**

70 分以上：好；40–70：存疑；40 以下：差。
*minimum_score* 是门槛：低于它就在这里停止并给出报告；0 表示从不停止。

分数取决于服务器的校准：自带的校准来自绘制的图片。评分器未经校准时，请把门槛设为 0，只看报告。
"""

SETTINGS_A14B = """**Settings**

- 832x480, 81 frames at 16 frames a second: 5 s. The article says 4 to 8 s; this model was trained on 5 s, and longer \
clips tend to run back to their beginning.
- 0 stands for the server's value (see the foot of the node).
- **Guidance**: the article says 7 to 9, never above 10. Here that differs: Wan2.2 A14B's own value is 3.5, the server \
warns above 7 and calls more than 10 an error. With pocket, the model of this project, the subject was kept in 96 % of \
clips at 1 to 2, in 79 % at 8, in 50 % at 12. Leave it at 0, and change it last.
- The same seed and settings give the same frames; *control after generate* draws another seed.

---

**参数**

- 832x480、81 帧、每秒 16 帧：5 秒。文章建议 4–8 秒；该模型按 5 秒训练，更长的视频容易倒回开头。
- 0 表示使用服务器的值（见节点底部）。
- **引导系数**：文章建议 7–9，不超过 10。这里不同：Wan2.2 A14B 自身的值是 3.5，\
服务器对 7 以上给出警告，10 以上视为错误。\
在本项目的 pocket 模型上，系数 1–2 时 96% 的视频保住了主体，8 时 79%，12 时 50%。请保持 0，最后才调它。
- 相同的种子和参数得到相同的帧；*control after generate* 会换种子。
"""

SETTINGS_POCKET = """**Settings**

Pocket makes 64x64 pixels, 17 frames, 4 frames a second. 0 stands for the server's value (see the foot of the node). \
It knows eight subjects: cat, person, car, dolphin, boat, bird, ball, fish.

---

**参数**

Pocket 生成 64x64 像素、17 帧、每秒 4 帧的视频。0 表示使用服务器的值（见节点底部）。\
它认识八种主体：猫、人、汽车、海豚、船、鸟、球、鱼。
"""

FAILED = """**When a clip fails**, in this order

1. Make picture and sentence match: name what the picture shows.
2. Shorten: one action.
3. Another picture.
4. Guidance last.

*Diagnosis* says which of them to try first, from what it measured. Its limits were chosen by judgement; a clip \
without symptoms is not necessarily good.

---

**视频不理想时**，按此顺序

1. 让图片与描述一致：写图中已有的内容。
2. 缩短：只写一个动作。
3. 换一张图片。
4. 最后才调引导系数。

“诊断”会根据测量结果说明先试哪一个。其阈值凭经验选定；没有症状不等于一定好。
"""

START_A14B = """**Five steps**

1. Start a server with Wan2.2-I2V-A14B (`docs/first-clip.md`); put its address into *Stillcue Server*. Its foot shows \
the model when it answers.
2. Upload a picture at *Load Image*.
3. Write the sentence.
4. Run. Queue place, step and memory stand in *Generate Video*; frames appear as they come. Cancel stops the card.
5. Look at the video at *Save Video*, and at *Diagnosis*.

---

**五步**

1. 启动装有 Wan2.2-I2V-A14B 的服务器（见 `docs/first-clip.md`），在“Stillcue 服务器”节点填写地址；\
连通后节点底部会显示模型。
2. 在“加载图像”上传图片。
3. 写描述。
4. 点“运行”。“生成视频”节点显示排队位置、步数和显存，帧逐一出现。“取消”会停止显卡上的任务。
5. 在“保存视频”看结果，并看“诊断”。
"""

START_POCKET = """**The whole way, without a GPU**

1. `make serve` starts the demo server at localhost:50051. The foot of *Stillcue Server* shows *pocket* when it answers.
2. Upload `demo-picture.png` at *Load Image*; it lies beside this workflow, in `example_workflows`.
3. The sentence stands there; change it and run again.
4. Run: a clip takes a second or two.
5. Look at the video at *Save Video*, and at *Diagnosis*.

---

**无需显卡，走完全程**

1. `make serve` 在 localhost:50051 启动演示服务器；连通后“Stillcue 服务器”节点底部显示 *pocket*。
2. 在“加载图像”上传 `demo-picture.png`，它与本工作流同在 `example_workflows` 文件夹。
3. 描述已写好；改一改再运行。
4. 点“运行”：一两秒生成一段视频。
5. 在“保存视频”看结果，并看“诊断”。
"""
