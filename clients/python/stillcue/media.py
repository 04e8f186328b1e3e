"""Encodings of frames and video files, and how a picture is fitted: enumerations that mirror the contract."""

from __future__ import annotations

import enum


class FrameEncoding(enum.StrEnum):
    """Encodings of frames.

    ``RAW_RGB`` is 8-bit RGB, row by row from the top, three bytes a pixel, no padding.
    """

    UNKNOWN = "unknown"
    RAW_RGB = "raw_rgb"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class VideoContainer(enum.StrEnum):
    """Containers of a clip's video file."""

    UNKNOWN = "unknown"
    FRAGMENTED_MP4 = "fragmented_mp4"


class VideoCodec(enum.StrEnum):
    """Codecs of a clip's video file: 8 bits, 4:2:0, BT.709 in limited range."""

    UNKNOWN = "unknown"
    H264 = "h264"
    AV1 = "av1"


class PictureFit(enum.StrEnum):
    """How a picture is fitted to a clip's aspect ratio; it is never stretched.

    ``CROP_SUBJECT`` crops around the subject that the prompt names, ``CROP_CENTER`` around the centre; ``PAD`` keeps
    the whole picture and adds bars; ``REFUSE`` refuses a picture of another aspect ratio.
    """

    UNKNOWN = "unknown"
    CROP_SUBJECT = "crop_subject"
    CROP_CENTER = "crop_center"
    PAD = "pad"
    REFUSE = "refuse"
