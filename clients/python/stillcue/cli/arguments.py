"""The argument parser, with every check that needs no server. A failed check exits with 2."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillcue import __version__
from stillcue.cli.connection import add_connection, check_connection
from stillcue.events import PictureFit, VideoCodec
from stillcue.frame_rates import read_frame_rate
from stillcue.reuse import StepReuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_CRF = 16
_LARGEST_INT32 = 2**31 - 1
_LARGEST_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Encoder:
    """The encoder of the mp4 file, the client's or the server's. ``codec`` None: the first that the server offers."""

    is_server: bool
    codec: VideoCodec | None = None


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks a command line. Raises ``SystemExit``: 0 after ``--help``, 2 for a wrong command line."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    check_connection(parser, options)
    if options.command == "generate" and options.encoder.is_server and (options.lossless or options.crf is not None):
        parser.error("--encoder server has a quality of its own; leave out --crf and --lossless")
    if options.command == "generate" and options.attempts == 1 and (options.accept is not None or options.all_attempts):
        parser.error("--accept and --all-attempts need --attempts 2 or more")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="stillcue",
        description="One picture and one sentence become video.",
        epilog="exit codes: 0 done, 1 the server refused or failed, 2 wrong command line, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"stillcue {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="make a clip", description="Make a clip."))
    score = commands.add_parser("score", help="does the sentence match the picture?")
    _add_picture_and_prompt(score)
    _add_clip(score)
    score.add_argument("--json", action="store_true", help="print the report as JSON")
    score.add_argument("--heat-map", type=_output("png"), metavar="FILE.png", help="write the heat map of the subject")
    score.add_argument(
        "--crop", type=_output("png"), metavar="FILE.png", help="write the picture that the clip would start from"
    )
    _add_fit(score, default="crop-subject")
    add_connection(score)
    capabilities = commands.add_parser("capabilities", help="what the server has loaded")
    capabilities.add_argument("--json", action="store_true", help="print everything as JSON")
    add_connection(capabilities)
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    _add_picture_and_prompt(parser)
    parser.add_argument(
        "-o", "--output", type=_output("mp4"), required=True, metavar="CLIP.mp4", help="replaced if it exists"
    )
    _add_clip(parser)
    _add_fit(parser, default="crop-center")
    parser.add_argument("--steps", type=_integer(1, _LARGEST_INT32), metavar="N", help="denoising steps")
    parser.add_argument("--guidance-low", type=float, metavar="G", help="guidance scale of the low-noise expert")
    parser.add_argument("--shift", type=float, metavar="S", help="shift of the flow schedule")
    parser.add_argument(
        "--reuse",
        type=_reuse,
        metavar="HOW",
        help="off, balanced or fast: how much of earlier denoising steps is reused instead of computed, which saves "
        "time and changes the clip (default: the server's)",
    )
    parser.add_argument("--seed", type=_integer(0, _LARGEST_INT64), metavar="N", help="default: drawn and reported")
    parser.add_argument(
        "--attempts",
        type=_integer(1, _LARGEST_INT32),
        default=1,
        metavar="N",
        help="make the clip up to N times, with the next seed each, until it is judged good (default: 1)",
    )
    parser.add_argument(
        "--accept", type=float, metavar="P", help="a clip is good from this probability on, 0 to 1 (default: measured)"
    )
    parser.add_argument(
        "--all-attempts", action="store_true", help="keep the clips of the other attempts too, as CLIP-1.mp4 and so on"
    )
    match = parser.add_mutually_exclusive_group()
    match.add_argument("--require-match", type=float, metavar="SCORE", help="refuse below this score, 0 to 100")
    match.add_argument("--no-match", action="store_true", help="do not score picture and sentence")
    parser.add_argument(
        "--previews",
        type=_integer(0, _LARGEST_INT32),
        default=1,
        metavar="N",
        help="in terminals of 24-bit colour, a preview every N steps; 0: none (default: 1)",
    )
    quality = parser.add_mutually_exclusive_group()
    quality.add_argument(
        "--crf",
        type=_integer(0, 51),
        metavar="N",
        help=f"H.264 quality, 0 best to 51 worst (default: {DEFAULT_CRF})",
    )
    quality.add_argument("--lossless", action="store_true", help="H.264 in RGB without loss; not every player reads it")
    parser.add_argument(
        "--encoder",
        type=_encoder,
        default=Encoder(is_server=False),
        metavar="WHO",
        help="client (the default), or server: the server sends the encoded file instead of frames; server:h264 and "
        "server:av1 choose the codec",
    )
    parser.add_argument("--json", type=_output("json"), metavar="FILE.json", help="write the summary")
    parser.add_argument("--sheet", type=_output("png"), metavar="FILE.png", help="write a contact sheet")
    parser.add_argument(
        "--font", type=_input, metavar="FILE.ttf", help="font of the sheet's caption, for example for Chinese"
    )
    add_connection(parser)


def _add_clip(parser: argparse.ArgumentParser) -> None:
    """Adds the options that describe a clip, for ``generate`` and ``score``."""
    parser.add_argument("--size", type=_size, default=(0, 0), metavar="WxH", help="default: by the picture's aspect")
    parser.add_argument("--frames", type=_integer(1, _LARGEST_INT32), default=0, metavar="N", help="4n + 1")
    parser.add_argument("--fps", type=_frame_rate, metavar="F", help="frames per second of playback: 24, 24000/1001")
    parser.add_argument("--guidance", type=float, metavar="G", help="guidance scale; 1 switches guidance off")
    parser.add_argument("--negative", type=_text, metavar="TEXT", help="what the clip must not show")


def _add_fit(parser: argparse.ArgumentParser, *, default: str) -> None:
    parser.add_argument(
        "--fit",
        type=_fit,
        metavar="HOW",
        help=f"crop-subject, crop-center, pad or refuse: how the picture is brought to the size (default: {default})",
    )


def _add_picture_and_prompt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "picture",
        type=_input,
        metavar="PICTURE",
        help="picture file (PNG, JPEG, AVIF …): the first frame",
    )
    parser.add_argument("prompt", type=_text, metavar="SENTENCE", help="subject, action and change of environment")


def _input(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


def _output(suffix: str) -> Callable[[str], Path]:
    def output(text: str) -> Path:
        path = Path(text)
        if path.suffix.lower() != f".{suffix}":
            raise argparse.ArgumentTypeError(f"{text!r} does not end in .{suffix}")
        if not path.parent.is_dir():
            raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
        return path

    return output


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, for example 832x480")
    return int(found[1]), int(found[2])


def _fit(text: str) -> PictureFit:
    names = [item.value.replace("_", "-") for item in PictureFit if item is not PictureFit.UNKNOWN]
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
    return PictureFit(text.replace("-", "_"))


def _reuse(text: str) -> StepReuse:
    names = [item.value for item in StepReuse if item is not StepReuse.UNKNOWN]
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
    return StepReuse(text)


def _encoder(text: str) -> Encoder:
    codecs = {f"server:{item.value}": item for item in VideoCodec if item is not VideoCodec.UNKNOWN}
    if text not in {"client", "server", *codecs}:
        raise argparse.ArgumentTypeError(f"{text!r} is none of client, server, {', '.join(codecs)}")
    return Encoder(text != "client", codecs.get(text))


def _frame_rate(text: str) -> float:
    try:
        return read_frame_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        number = int(text)
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"{number} is outside {lowest} to {highest}")
        return number

    return integer


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not valid UTF-8") from None
    return text
