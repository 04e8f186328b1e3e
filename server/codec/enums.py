"""Enums of the wire and of the domain, side by side. Both directions; nothing else."""

from __future__ import annotations

from engine.types import (
    Expert,
    Family,
    FrameEncoding,
    ImageFormat,
    MatchBasis,
    MatchMode,
    MatchVerdict,
    Stage,
)
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2, media_pb2

IMAGE_FORMATS: dict[int, ImageFormat | None] = {
    media_pb2.IMAGE_FORMAT_UNSPECIFIED: None,
    media_pb2.IMAGE_FORMAT_PNG: ImageFormat.PNG,
    media_pb2.IMAGE_FORMAT_JPEG: ImageFormat.JPEG,
    media_pb2.IMAGE_FORMAT_WEBP: ImageFormat.WEBP,
}
FRAME_ENCODINGS: dict[int, FrameEncoding] = {
    media_pb2.FRAME_ENCODING_UNSPECIFIED: FrameEncoding.PNG,
    media_pb2.FRAME_ENCODING_RAW_RGB: FrameEncoding.RAW_RGB,
    media_pb2.FRAME_ENCODING_PNG: FrameEncoding.PNG,
    media_pb2.FRAME_ENCODING_JPEG: FrameEncoding.JPEG,
    media_pb2.FRAME_ENCODING_WEBP: FrameEncoding.WEBP,
}
MATCH_MODES: dict[int, MatchMode | None] = {
    match_pb2.MATCH_MODE_UNSPECIFIED: None,
    match_pb2.MATCH_MODE_OFF: MatchMode.OFF,
    match_pb2.MATCH_MODE_REPORT: MatchMode.REPORT,
    match_pb2.MATCH_MODE_REQUIRE: MatchMode.REQUIRE,
}
WIRE_FRAME_ENCODINGS: dict[FrameEncoding, media_pb2.FrameEncoding] = {
    FrameEncoding.RAW_RGB: media_pb2.FRAME_ENCODING_RAW_RGB,
    FrameEncoding.PNG: media_pb2.FRAME_ENCODING_PNG,
    FrameEncoding.JPEG: media_pb2.FRAME_ENCODING_JPEG,
    FrameEncoding.WEBP: media_pb2.FRAME_ENCODING_WEBP,
}
WIRE_STAGES: dict[Stage, generate_pb2.Stage] = {
    Stage.MATCH: generate_pb2.STAGE_MATCH,
    Stage.ENCODE_TEXT: generate_pb2.STAGE_ENCODE_TEXT,
    Stage.ENCODE_IMAGE: generate_pb2.STAGE_ENCODE_IMAGE,
    Stage.DENOISE: generate_pb2.STAGE_DENOISE,
    Stage.DECODE: generate_pb2.STAGE_DECODE,
}
WIRE_EXPERTS: dict[Expert, generate_pb2.Expert] = {
    Expert.HIGH_NOISE: generate_pb2.EXPERT_HIGH_NOISE,
    Expert.LOW_NOISE: generate_pb2.EXPERT_LOW_NOISE,
    Expert.SINGLE: generate_pb2.EXPERT_SINGLE,
}
WIRE_VERDICTS: dict[MatchVerdict, match_pb2.MatchVerdict] = {
    MatchVerdict.GOOD: match_pb2.MATCH_VERDICT_GOOD,
    MatchVerdict.DOUBTFUL: match_pb2.MATCH_VERDICT_DOUBTFUL,
    MatchVerdict.POOR: match_pb2.MATCH_VERDICT_POOR,
}
WIRE_BASES: dict[MatchBasis, match_pb2.MatchBasis] = {
    MatchBasis.UNCALIBRATED: match_pb2.MATCH_BASIS_UNCALIBRATED,
    MatchBasis.CALIBRATED: match_pb2.MATCH_BASIS_CALIBRATED,
}
WIRE_FAMILIES: dict[Family, capabilities_pb2.ModelFamily] = {
    Family.WAN22_I2V_A14B: capabilities_pb2.MODEL_FAMILY_WAN22_I2V_A14B,
    Family.WAN22_TI2V_5B: capabilities_pb2.MODEL_FAMILY_WAN22_TI2V_5B,
}
