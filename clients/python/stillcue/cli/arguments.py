"""The argument parser, with every check that needs no server. A failed check exits with 2."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stillcue import __version__
from stillcue.cli.argument_types import (
    Encoder,
    encoder,
    fit,
    frame_rate,
    input_file,
    integer_within,
    output_file,
    reuse,
    size,
    text,
)
from stillcue.cli.connection import add_connection, check_connection

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_CRF = 16
_LARGEST_INT32 = 2**31 - 1
_LARGEST_INT64 = 2**63 - 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks a command line. Raises ``SystemExit``: 0 after ``--help``, 2 for a wrong command line."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command == "generate" and options.prompt is None:
        options.prompt = _take_sentence(parser, rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    check_connection(parser, options)
    if options.command == "generate":
        _check_generate(parser, options)
    return options


def _take_sentence(parser: argparse.ArgumentParser, rest: list[str]) -> str | None:
    """Takes SENTENCE from the arguments that argparse left over: it does not find an optional one behind options.

    Behind ``--`` a sentence may begin with a dash.
    """
    if rest and rest[0] == "--":
        rest.pop(0)
    elif not rest or rest[0].startswith("-"):
        return None
    if not rest:
        return None
    try:
        return text(rest.pop(0))
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument SENTENCE: {error}")


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="stillcue",
        description="One picture and one sentence become video.",
        epilog="exit codes: 0 done, 1 the server refused or failed, 2 wrong command line, 3 a chain ended early by "
        "--require-match, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"stillcue {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="make a clip", description="Make a clip."))
    score = commands.add_parser("score", help="does the sentence match the picture?")
    _add_picture(score)
    score.add_argument("prompt", type=text, metavar="SENTENCE", help="subject, action and change of environment")
    _add_clip(score)
    score.add_argument("--json", action="store_true", help="print the report as JSON")
    score.add_argument(
        "--heat-map", type=output_file("png"), metavar="FILE.png", help="write the heat map of the subject"
    )
    score.add_argument(
        "--crop", type=output_file("png"), metavar="FILE.png", help="write the picture that the clip would start from"
    )
    _add_fit(score, default="crop-subject")
    add_connection(score)
    capabilities = commands.add_parser("capabilities", help="what the server has loaded")
    capabilities.add_argument("--json", action="store_true", help="print everything as JSON")
    add_connection(capabilities)
    return parser


def _check_generate(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Checks the options of ``generate`` against each other."""
    if options.encoder.is_server and (options.lossless or options.crf is not None):
        parser.error("--encoder server has a quality of its own; leave out --crf and --lossless")
    if options.attempts == 1 and (options.accept is not None or options.all_attempts):
        parser.error("--accept and --all-attempts need --attempts 2 or more")
    if options.frames and options.seconds is not None:
        parser.error("--frames and --seconds both state the length of the clip; give one of them")
    if options.prompt is not None and options.stages:
        parser.error("SENTENCE and --stage exclude each other: each --stage is a sentence; leave out SENTENCE")
    if options.prompt is None and not options.stages:
        parser.error("there is no sentence; give SENTENCE, or a --stage for each segment")
    if len(options.stage_frames) not in {0, 1, len(options.stages)}:
        parser.error("--stage-frames is given once for all, or once for each --stage")
    if options.stage_frames and not options.stages:
        parser.error("--stage-frames needs --stage; the length of the clip is --frames or --seconds")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    _add_picture(parser)
    parser.add_argument(
        "prompt",
        nargs="?",
        type=text,
        metavar="SENTENCE",
        help="subject, action and change of environment; or give --stage",
    )
    parser.add_argument(
        "-o", "--output", type=output_file("mp4"), required=True, metavar="CLIP.mp4", help="replaced if it exists"
    )
    _add_clip(parser)
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="length in place of --frames; longer than the model's own: the clip is a chain of segments",
    )
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        type=text,
        dest="stages",
        metavar="SENTENCE",
        help="the sentence of the next segment of a chain, complete in itself; repeat it for each segment",
    )
    parser.add_argument(
        "--stage-frames",
        action="append",
        default=[],
        type=integer_within(1, _LARGEST_INT32),
        metavar="N",
        help="frames that the model makes for a segment: once for all, or once for each --stage; default: the server's",
    )
    _add_fit(parser, default="crop-center")
    parser.add_argument("--steps", type=integer_within(1, _LARGEST_INT32), metavar="N", help="denoising steps")
    parser.add_argument("--guidance-low", type=float, metavar="G", help="guidance scale of the low-noise expert")
    parser.add_argument("--shift", type=float, metavar="S", help="shift of the flow schedule")
    parser.add_argument(
        "--reuse",
        type=reuse,
        metavar="HOW",
        help="off, balanced or fast: how much of earlier denoising steps is reused instead of computed, which saves "
        "time and changes the clip (default: the server's)",
    )
    parser.add_argument(
        "--seed", type=integer_within(0, _LARGEST_INT64), metavar="N", help="default: drawn and reported"
    )
    parser.add_argument(
        "--attempts",
        type=integer_within(1, _LARGEST_INT32),
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
    match.add_argument(
        "--require-match",
        type=float,
        metavar="SCORE",
        help="refuse below this score, 0 to 100; a chain then ends before its segment",
    )
    match.add_argument("--no-match", action="store_true", help="do not score picture and sentence")
    parser.add_argument(
        "--previews",
        type=integer_within(0, _LARGEST_INT32),
        default=1,
        metavar="N",
        help="in terminals of 24-bit colour, a preview every N steps; 0: none (default: 1)",
    )
    quality = parser.add_mutually_exclusive_group()
    quality.add_argument(
        "--crf",
        type=integer_within(0, 51),
        metavar="N",
        help=f"H.264 quality, 0 best to 51 worst (default: {DEFAULT_CRF})",
    )
    quality.add_argument("--lossless", action="store_true", help="H.264 in RGB without loss; not every player reads it")
    parser.add_argument(
        "--encoder",
        type=encoder,
        default=Encoder(is_server=False),
        metavar="WHO",
        help="client (the default), or server: the server sends the encoded file instead of frames; server:h264 and "
        "server:av1 choose the codec",
    )
    parser.add_argument("--json", type=output_file("json"), metavar="FILE.json", help="write the summary")
    parser.add_argument("--sheet", type=output_file("png"), metavar="FILE.png", help="write a contact sheet")
    parser.add_argument(
        "--font", type=input_file, metavar="FILE.ttf", help="font of the sheet's caption, for example for Chinese"
    )
    add_connection(parser)


def _add_clip(parser: argparse.ArgumentParser) -> None:
    """Adds the options that describe a clip, for ``generate`` and ``score``."""
    parser.add_argument("--size", type=size, default=(0, 0), metavar="WxH", help="default: by the picture's aspect")
    parser.add_argument("--frames", type=integer_within(1, _LARGEST_INT32), default=0, metavar="N", help="4n + 1")
    parser.add_argument("--fps", type=frame_rate, metavar="F", help="frames per second of playback: 24, 24000/1001")
    parser.add_argument("--guidance", type=float, metavar="G", help="guidance scale; 1 switches guidance off")
    parser.add_argument("--negative", type=text, metavar="TEXT", help="what the clip must not show")


def _add_fit(parser: argparse.ArgumentParser, *, default: str) -> None:
    parser.add_argument(
        "--fit",
        type=fit,
        metavar="HOW",
        help=f"crop-subject, crop-center, pad or refuse: how the picture is brought to the size (default: {default})",
    )


def _add_picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "picture",
        type=input_file,
        metavar="PICTURE",
        help="picture file (PNG, JPEG, AVIF …): the first frame",
    )
