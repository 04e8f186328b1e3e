"""Types of the command line's arguments: each reads one text, or raises what argparse reports as a wrong value."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillcue.events import PictureFit, VideoCodec
from stillcue.frame_rates import read_frame_rate
from stillcue.reuse import StepReuse

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Encoder:
    """The encoder of the mp4 file, the client's or the server's. ``codec`` None: the first that the server offers."""

    is_server: bool
    codec: VideoCodec | None = None


def input_file(text: str) -> Path:
    """Reads the path of a file that exists."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


def output_file(suffix: str) -> Callable[[str], Path]:
    """Returns the reader of paths that end in a suffix, in a folder that exists."""

    def output(text: str) -> Path:
        path = Path(text)
        if path.suffix.lower() != f".{suffix}":
            raise argparse.ArgumentTypeError(f"{text!r} does not end in .{suffix}")
        if not path.parent.is_dir():
            raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
        return path

    return output


def size(text: str) -> tuple[int, int]:
    """Reads a size such as 832x480: width and height in pixels."""
    found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, for example 832x480")
    return int(found[1]), int(found[2])


def fit(text: str) -> PictureFit:
    """Reads a picture fit such as crop-center."""
    names = [item.value.replace("_", "-") for item in PictureFit if item is not PictureFit.UNKNOWN]
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
    return PictureFit(text.replace("-", "_"))


def reuse(text: str) -> StepReuse:
    """Reads how much of earlier steps is reused."""
    names = [item.value for item in StepReuse if item is not StepReuse.UNKNOWN]
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
    return StepReuse(text)


def encoder(text: str) -> Encoder:
    """Reads client, server, or server with a codec."""
    codecs = {f"server:{item.value}": item for item in VideoCodec if item is not VideoCodec.UNKNOWN}
    if text not in {"client", "server", *codecs}:
        raise argparse.ArgumentTypeError(f"{text!r} is none of client, server, {', '.join(codecs)}")
    return Encoder(text != "client", codecs.get(text))


def frame_rate(text: str) -> float:
    """Reads frames per second: a number or a fraction."""
    try:
        return read_frame_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def integer_within(lowest: int, highest: int) -> Callable[[str], int]:
    """Returns the reader of whole numbers from ``lowest`` to ``highest``."""

    def integer(text: str) -> int:
        number = int(text)
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"{number} is outside {lowest} to {highest}")
        return number

    return integer


def text(text: str) -> str:
    """Reads a text that is valid Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not valid UTF-8") from None
    return text
