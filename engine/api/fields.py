"""Fields of a job that an error can name."""

from __future__ import annotations

import enum


class Field(enum.Enum):
    """A field of ``Job`` or of ``score_match``. Callers map each one to its path in their own request format."""

    IMAGE_DATA = "image data"
    IMAGE_FORMAT = "image format"
    PROMPT = "prompt"
    NEGATIVE_PROMPT = "negative_prompt"
    WIDTH = "width_px"
    FRAME_COUNT = "frame_count"
    FRAME_RATE = "frame_rate"
    PICTURE_FIT = "picture_fit"
    STEP_COUNT = "step_count"
    GUIDANCE_SCALE = "guidance_scale"
    GUIDANCE_SCALE_LOW_NOISE = "guidance_scale_low_noise"
    SEED = "seed"
    SHIFT = "shift"
    MATCH_MODE = "match mode"
    MINIMUM_SCORE = "minimum_score"
    PREVIEW_INTERVAL = "preview_every_step_count"
    SECONDS = "seconds"
    SEGMENTS = "segments"
    SEGMENT_PROMPT = "segment prompt"
    SEGMENT_FRAME_COUNT = "segment frame_count"
    SEGMENT_SEED = "segment seed"
    SEGMENT_GUIDANCE_SCALE = "segment guidance_scale"
    SEGMENT_GUIDANCE_SCALE_LOW_NOISE = "segment guidance_scale_low_noise"
