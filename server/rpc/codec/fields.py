"""Paths of fields in the requests: where each field of the engine stands in each message of the contract.

``{}`` stands for the index of a segment, from 0. A test compares every path with the descriptors of the messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.fields import Field

if TYPE_CHECKING:
    from collections.abc import Mapping


GENERATE_PATHS: Mapping[Field, str] = {
    Field.IMAGE_DATA: "image.data",
    Field.IMAGE_FORMAT: "image.format",
    Field.PROMPT: "prompt",
    Field.NEGATIVE_PROMPT: "negative_prompt",
    Field.WIDTH: "video.width_px",
    Field.FRAME_COUNT: "video.frame_count",
    Field.FRAME_RATE: "video.frame_rate",
    Field.PICTURE_FIT: "video.picture_fit",
    Field.STEP_COUNT: "sampling.step_count",
    Field.GUIDANCE_SCALE: "sampling.guidance_scale",
    Field.GUIDANCE_SCALE_LOW_NOISE: "sampling.guidance_scale_low_noise",
    Field.SEED: "sampling.seed",
    Field.SHIFT: "sampling.shift",
    Field.MATCH_MODE: "match.mode",
    Field.MINIMUM_SCORE: "match.minimum_score",
    Field.PREVIEW_INTERVAL: "stream.preview_every_step_count",
    Field.SECONDS: "video.seconds",
    Field.SEGMENTS: "segments",
    Field.SEGMENT_PROMPT: "segments[{}].prompt",
    Field.SEGMENT_FRAME_COUNT: "segments[{}].frame_count",
    Field.SEGMENT_SEED: "segments[{}].seed",
    Field.SEGMENT_GUIDANCE_SCALE: "segments[{}].guidance_scale",
    Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE: "segments[{}].guidance_scale_low_noise",
}
SCORE_MATCH_PATHS: Mapping[Field, str] = {
    Field.IMAGE_DATA: "image.data",
    Field.IMAGE_FORMAT: "image.format",
    Field.PROMPT: "prompt",
    Field.NEGATIVE_PROMPT: "negative_prompt",
    Field.WIDTH: "width_px",
    Field.FRAME_COUNT: "frame_count",
    Field.FRAME_RATE: "frame_rate",
    Field.PICTURE_FIT: "picture_fit",
    Field.GUIDANCE_SCALE: "guidance_scale",
}
