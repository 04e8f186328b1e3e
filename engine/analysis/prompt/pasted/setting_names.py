"""Names of settings as people paste them into a sentence, in lower case with blanks."""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


LENGTH_KEYS = _names("duration, length, video length, clip length, 时长, 视频时长, 片长")
SIZE_KEYS = _names(
    "size, resolution, width, height, aspect ratio, ratio, fps, frame rate, framerate,"
    "尺寸, 分辨率, 宽度, 高度, 画幅, 宽高比, 画面比例, 帧率"
)
NUMBER_KEYS = _names(
    "steps, sampling steps, cfg, cfg scale, guidance, guidance scale, seed, random seed, frames, frame count,"
    "num frames, denoising strength, clip skip, shift, strength, ensd, hires upscale, motion bucket id, batch size,"
    "步数, 采样步数, 迭代步数, 引导系数, 提示词引导系数, 随机种子, 种子, 种子数, 帧数, 重绘幅度"
)
WORD_KEYS = _names(
    "sampler, sampling method, schedule type, scheduler, model, model hash, vae, vae hash, version, lora hashes,"
    "hires upscaler, upscaler, ti hashes, checkpoint, 采样器, 采样方法, 调度器, 模型"
)


def case_of(key: str) -> str:
    """The case of W23 for the name of a setting."""
    name = key.casefold().replace("_", " ")
    if name in LENGTH_KEYS:
        return "length"
    return "size" if name in SIZE_KEYS else "parameters"
