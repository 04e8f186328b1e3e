"""The two example workflows: Wan2.2-I2V-A14B at 832x480, and pocket at 64x64. They differ in values and notes only."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.comfyui import notes
from scripts.comfyui.graph import Group, Link, Node, Note, Workflow


@dataclass(frozen=True)
class _Clip:
    """What the two workflows differ in."""

    name: str
    picture: str
    sentence: str
    size: str
    frame_count: int
    frame_rate: float
    start: str
    settings: str


_A14B = _Clip(
    name="wan2.2_i2v_A14B",
    picture="example.png",
    sentence="A white cat on a sofa first raises its head, then slowly turns to the window; the camera holds still.",
    size="832x480",
    frame_count=81,
    frame_rate=16.0,
    start=notes.START_A14B,
    settings=notes.SETTINGS_A14B,
)
_POCKET = _Clip(
    name="pocket_64x64",
    picture="demo-picture.png",
    sentence="A red car slowly rolls to the right, the scene gets darker.",
    size="64x64",
    frame_count=17,
    frame_rate=4.0,
    start=notes.START_POCKET,
    settings=notes.SETTINGS_POCKET,
)
_MINIMUM_SCORE = 40.0  # The limit between doubtful and poor.


def example_workflows() -> tuple[Workflow, ...]:
    """Both workflows."""
    return tuple(Workflow(clip.name, _nodes(clip), _notes(clip), _GROUPS) for clip in (_A14B, _POCKET))


# Columns of the canvas, left to right. Nodes have room for the reports and pictures that they show after a run.
_GROUPS = (
    Group("1 · Picture · 图片", 400, 0, 400, 700, "#3f789e"),
    Group("2 · Sentence · 描述", 820, 0, 400, 860, "#88A"),
    Group("3 · Match · 匹配", 1240, 0, 420, 1160, "#b58b2a"),
    Group("4 · Generate · 生成", 1680, 0, 420, 1060, "#8A8"),
    Group("5 · Video · 视频", 2120, 0, 480, 1030, "#A88"),
)


def _nodes(clip: _Clip) -> tuple[Node, ...]:
    server, sentence = Link("server", "server"), Link("sentence", "STRING")
    prepare = {
        "server": server,
        "image": Link("picture", "IMAGE"),
        "prompt": sentence,
        "size": clip.size,
        "fit": "crop_subject",
    }
    match = {
        "server": server,
        "picture": Link("prepare", "picture"),
        "prompt": sentence,
        "minimum_score": _MINIMUM_SCORE,
    }
    generate = {
        "server": server,
        "picture": Link("match", "picture"),
        "prompt": Link("match", "prompt"),
        "frames": clip.frame_count,
        "frame_rate": clip.frame_rate,
    }
    save = {
        "video": Link("generate", "video"),
        "filename_prefix": f"video/{clip.name}",
        "format": "auto",
        "codec": "auto",
    }
    return (
        Node("server", "StillcueServer", 420, 60, 360, 270),
        Node("picture", "LoadImage", 420, 380, 360, 300, {"image": clip.picture}),
        Node(
            "sentence",
            "PrimitiveStringMultiline",
            840,
            60,
            360,
            140,
            {"value": clip.sentence},
            "Sentence · 描述",
        ),
        Node("prepare", "StillcuePreparePicture", 840, 250, 360, 580, prepare),
        Node("match", "StillcueMatchScore", 1260, 60, 380, 590, match),
        Node("heat map", "PreviewImage", 1260, 700, 185, 280, {"images": Link("match", "heat_map")}, "Subject · 主体"),
        Node("crop", "PreviewImage", 1455, 700, 185, 280, {"images": Link("match", "crop")}, "Crop · 裁剪"),
        Node(
            "rewritten",
            "PreviewAny",
            1260,
            1030,
            380,
            110,
            {"source": Link("match", "rewritten_prompt")},
            "Improved by rules · 按规则改写",
        ),
        Node("generate", "StillcueGenerateVideo", 1700, 60, 380, 980, generate),
        Node("save", "SaveVideo", 2140, 60, 440, 560, save),
        Node("diagnosis", "StillcueDiagnosis", 2140, 670, 440, 340, {"clip": Link("generate", "clip")}),
    )


def _notes(clip: _Clip) -> tuple[Note, ...]:
    return (
        Note("Start here · 从这里开始", clip.start, 0, 0, 380, 500),
        Note("Picture · 图片", notes.PICTURE, 400, 750, 400, 380),
        Note("Sentence · 描述", notes.SENTENCE, 820, 910, 400, 440),
        Note("Match · 匹配", notes.MATCH, 1240, 1210, 420, 380),
        Note("Settings · 参数", clip.settings, 1680, 1110, 420, 540),
        Note("When a clip fails · 视频不理想时", notes.FAILED, 2120, 1080, 480, 380),
    )
