"""Hypothesis strategies for hostile pictures and prompts, and a check of the server's answer.

The answer to any input must be a valid report or an error that names a field.
"""

from __future__ import annotations

import io
import math
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import strategies as st
from PIL import Image

from engine.analysis.prompt.given_text import clean_prompt
from stillcue.v1 import match_pb2, media_pb2

SCORE_MATCH = "/stillcue.v1.StillcueService/ScoreMatch"
ALLOWED = frozenset({"OK", "INVALID_ARGUMENT", "FAILED_PRECONDITION"})
LONGEST = 100_000
_FORMATS_BY_MODE = {
    "1": ("PNG",),
    "L": ("PNG", "JPEG", "WEBP"),
    "LA": ("PNG",),
    "P": ("PNG",),
    "RGB": ("PNG", "JPEG", "WEBP"),
    "RGBA": ("PNG", "WEBP"),
    "CMYK": ("JPEG",),
    "YCbCr": ("JPEG",),
    "I;16": ("PNG",),
}
_WORDS = [
    "a white cat jumps",
    "then",
    "while",
    "the camera pans left",
    "no lettering",
    "(cat:1.3)",
    "https://a.example",
    "8k",
    "epic",
    "一只白色猫咪",
    "从沙发上跳下来",
    "然后",
    "镜头拉近",
    "不要模糊",
    "充满活力",
    "字幕写着",
    "海豚",
    "汽车",
    "。",
    "！",
    "،",
    "देवनागरी",
    "العربية",
    "Ελληνικά",
    "עברית",
    "ภาษาไทย",
    "한국어",
    "ひらがな",
    "👩‍👩‍👧",
    "🏳️‍🌈",
    "é",
    "e\u0301",
    "ﬁ",
    "İ",
    "ß",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u0000",
    "\u0007",
    "\n",
    "\t",
    "&amp;",
    "&lt;b&gt;",
    "%s",
    "{}",
    "${x}",
    "';--",
]
_marks = st.characters(exclude_categories=["Cs"])
sentences = st.one_of(
    st.text(_marks, max_size=200),
    st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp", "Co", "Cn"]), max_size=50),
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=40).map(" ".join),
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=9).map(", ".join),
    st.lists(st.sampled_from(_WORDS), max_size=40).map("".join),
    st.tuples(st.text(_marks, min_size=1, max_size=8), st.sampled_from([1, 9, 200, 5_000, LONGEST])).map(
        lambda item: (item[0] * item[1])[:LONGEST]
    ),
)


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """Draws a picture file of any mode and format: valid, truncated, corrupted, animated, or no picture at all."""
    kind = draw(st.sampled_from(["whole"] * 5 + ["rotated", "animated", "cut", "changed", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=300))
    mode = draw(st.sampled_from(sorted(_FORMATS_BY_MODE)))
    size = draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    picture = Image.frombytes("L", size, draw(st.randoms(use_true_random=False)).randbytes(size[0] * size[1]))
    options: dict[str, Any] = {"format": draw(st.sampled_from(_FORMATS_BY_MODE[mode]))}
    if kind == "animated":
        mode, options = "RGB", {"format": draw(st.sampled_from(["PNG", "WEBP"])), "save_all": True}
        options["append_images"] = [Image.new("RGB", size, "red")]
    if kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = draw(st.integers(0, 9))
        options |= {"exif": exif}
    buffer = io.BytesIO()
    _in_mode(picture, mode).save(buffer, **options)
    data = buffer.getvalue()
    if kind == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if kind == "changed":
        place = draw(st.integers(0, len(data) - 1))
        return data[:place] + draw(st.binary(min_size=1, max_size=4)) + data[place + 1 :]
    return data


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return picture.convert("I").convert("I;16")
    return picture.convert("RGB").convert(mode) if mode in {"P", "CMYK", "YCbCr", "RGBA"} else picture.convert(mode)


_sizes = st.one_of(st.sampled_from([0, 32, 48, 64]), st.integers(-(2**31), 2**31 - 1))
_numbers = st.one_of(st.none(), st.floats(1.0, 30.0), st.floats(allow_nan=True, allow_infinity=True))
_good_plans = st.builds(
    match_pb2.ScoreMatchRequest,
    image=st.builds(media_pb2.Image, data=pictures()),
    prompt=sentences,
    include_heat_map=st.booleans(),
    include_crop=st.booleans(),
)
_any_plans = st.builds(
    match_pb2.ScoreMatchRequest,
    image=st.builds(media_pb2.Image, data=pictures(), format=st.sampled_from([0, 1, 2, 3, 99])),
    prompt=sentences,
    negative_prompt=st.one_of(st.none(), sentences),
    width_px=_sizes,
    height_px=_sizes,
    frame_count=st.one_of(st.sampled_from([0, 9, 17]), _sizes),
    frame_rate=_numbers,
    guidance_scale=_numbers,
    include_crop=st.booleans(),
    picture_fit=st.sampled_from([0, 1, 2, 3, 4, 99]),
)
requests = st.one_of(_good_plans, _good_plans, _any_plans)


def answer_to(request: match_pb2.ScoreMatchRequest, channel: grpc.Channel) -> str:
    """Sends a request, checks the answer and returns its status. Raises ``AssertionError`` for an invalid answer."""
    anything: Any = channel  # typed stubs ask for serializers; raw bytes need none
    try:
        data = anything.unary_unary(SCORE_MATCH)(request.SerializeToString(), timeout=60)
    except grpc.RpcError as error:
        return _refusal(error)
    _check_report(request, match_pb2.ScoreMatchResponse.FromString(data))
    return "OK"


def _refusal(error: Any) -> str:
    name = str(error.code().name)
    assert name in ALLOWED, (name, error.details())
    status = rpc_status.from_call(error)
    assert status is not None
    fields = error_details_pb2.BadRequest()
    assert any(detail.Unpack(fields) for detail in status.details), error.details()
    known = {*match_pb2.ScoreMatchRequest.DESCRIPTOR.fields_by_name, "image.data", "image.format"}
    assert {item.field for item in fields.field_violations} <= known
    assert "Traceback" not in status.message
    return name


def _check_report(request: match_pb2.ScoreMatchRequest, answer: match_pb2.ScoreMatchResponse) -> None:
    report, length = answer.report, len(request.prompt)
    assert 0.0 <= report.score <= 100.0
    assert math.isfinite(report.contrast)
    findings = report.prompt_report.findings
    spans = [item.span for item in report.clauses]
    spans += [item.span for item in report.missing_nouns]
    spans += [item.span for item in findings if item.HasField("span")]
    assert all(0 <= span.start <= span.end <= length for span in spans)
    if clean_prompt(request.prompt) == request.prompt:  # else texts are those that the model is given
        assert all(request.prompt[item.span.start : item.span.end] == item.text for item in report.clauses)
    assert all(0.0 <= item.probability <= 1.0 for item in report.clauses)
    for crop in report.crops:
        assert crop.crop.left_px + crop.crop.width_px <= report.picture_report.width_px
        assert crop.crop.top_px + crop.crop.height_px <= report.picture_report.height_px
    if request.include_crop:
        assert Image.open(io.BytesIO(answer.crop_png)).format == "PNG"
