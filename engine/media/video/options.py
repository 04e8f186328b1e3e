"""The options with which each encoder is opened.

No frame refers to a later one and none is kept for looking ahead, so that a chunk of the file leaves as soon as its
frames are decoded. The qualities are those at which a difference to the frames is hard to see: 20 on x264's scale (0
best, 51 worst), 24 on SVT-AV1's (1 to 63), and their nearest on NVENC's. x264 without look-ahead gives at 20 the
signal-to-noise ratio that it gives with look-ahead at 17 (docs/adr/0023).

x264 has one thread: its frame threads delay frames, its slice threads cost bytes, and the bytes of a clip would depend
on the number of processors. SVT-AV1 gets its lowest level of parallelism.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

_KEY_FRAME_SECONDS = 2  # a reader that seeks decodes at most this much of the clip before
_NVENC = {"preset": "p4", "tune": "ll", "rc": "vbr", "b": "0", "bf": "0", "delay": "0", "zerolatency": "1"}

ENCODER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency", "crf": "20", "threads": "1"},
    "libsvtav1": {"preset": "10", "crf": "24", "svtav1-params": "pred-struct=1:lookahead=0:lp=1"},
    "h264_nvenc": {**_NVENC, "cq": "21"},
    "av1_nvenc": {**_NVENC, "cq": "26"},
}


def key_frame_interval(frame_rate: Fraction) -> int:
    """Frames from one key frame to the next."""
    return max(round(frame_rate * _KEY_FRAME_SECONDS), 1)
