"""The three commands. Each makes one call, prints or writes its result, and returns its exit code.

``StillcueError`` is left to the caller.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from stillcue.attempts import AttemptFrames, Attempts
from stillcue.cli.capabilities_view import describe_capabilities
from stillcue.cli.connection import connect
from stillcue.cli.exit_codes import EXIT_DONE, EXIT_ENDED_EARLY
from stillcue.cli.files import replacing
from stillcue.cli.preview import can_show_previews
from stillcue.cli.progress import progress_display
from stillcue.cli.receiving import Received, receive
from stillcue.cli.report_view import diagnosis_view, print_match
from stillcue.cli.sheet import Font, caption_font, write_sheet
from stillcue.events import MatchMode, Summary, VideoContainer
from stillcue.reuse import StepReuse
from stillcue.segment_text import segment_lines
from stillcue.segments import Segment
from stillcue.step_text import describe_steps
from stillcue.success_text import clip_success_lines, no_further_attempt

if TYPE_CHECKING:
    import argparse

    from stillcue.client import Client, EventStream


def run(options: argparse.Namespace) -> int:
    """Runs the command named in ``options.command`` and returns its exit code."""
    return {"generate": generate, "score": score, "capabilities": capabilities}[options.command](options)


def generate(options: argparse.Namespace) -> int:
    """Generates a clip and writes the mp4 file and, on request, the summary and the contact sheet."""
    console = Console(stderr=True)
    font = _sheet_font(options, console)
    with (
        connect(options) as client,
        _start(client, options, console) as stream,
        progress_display(console) as display,
    ):
        received = receive(stream, display, options)
    summary = received.summary
    if options.json is not None:
        with replacing(options.json) as temporary:
            temporary.write_text(_to_json(asdict(summary)) + "\n", encoding="utf-8")
    if options.sheet is not None:
        write_sheet(
            options.sheet,
            picture=options.picture,
            frames=received.sheet_frames,
            frame_rate=summary.settings.frame_rate,
            caption=_caption(options),
            font=font,
        )
    _say_notes(console, received, options)
    if steps := describe_steps(summary.step_counts):
        _say(console, steps)
    for line in no_further_attempt(summary) + segment_lines(summary) + clip_success_lines(summary):
        _say(console, line)
    if summary.diagnosis is not None:
        console.print(diagnosis_view(summary.diagnosis), highlight=False, soft_wrap=True)
    _say(Console(), f"{options.output}: {_describe_clip(summary)}")
    return EXIT_DONE if summary.chain_stop is None else EXIT_ENDED_EARLY


def score(options: argparse.Namespace) -> int:
    """Prints the match report of a picture and a prompt; writes heat map and crop on request."""
    width_px, height_px = options.size
    with connect(options) as client:
        report = client.score_match(
            options.picture,
            options.prompt,
            timeout_seconds=options.timeout,
            negative_prompt=options.negative,
            width_px=width_px,
            height_px=height_px,
            frame_count=options.frames,
            frame_rate=options.fps,
            guidance_scale=options.guidance,
            include_heat_map=options.heat_map is not None,
            include_crop=options.crop is not None,
            picture_fit=options.fit,
        )
    console = Console(stderr=True)
    for path, data, name in (
        (options.heat_map, report.heat_map_png, "heat map"),
        (options.crop, report.crop_png, "crop"),
    ):
        if path is not None and data:
            with replacing(path) as temporary:
                temporary.write_bytes(data)
        elif path is not None:
            _say(console, f"note: this server's scorer gives no {name}, {path} was not written")
    if options.json:
        _say(Console(), _to_json(asdict(replace(report, heat_map_png=b"", crop_png=b""))))
    else:
        print_match(Console(), report, options.prompt)
    return EXIT_DONE


def capabilities(options: argparse.Namespace) -> int:
    """Prints what the server has loaded."""
    with connect(options) as client:
        found = client.capabilities(timeout_seconds=options.timeout)
    _say(Console(), _to_json(asdict(found)) if options.json else describe_capabilities(found))
    return EXIT_DONE


def _say_notes(console: Console, received: Received, options: argparse.Namespace) -> None:
    if options.attempts > 1 and received.accepted.attempts is None:
        _say(console, "note: this server makes every clip once: it is older than this client")
    wants_reuse = options.reuse in {StepReuse.BALANCED, StepReuse.FAST}
    if wants_reuse and received.accepted.settings.step_reuse is StepReuse.UNKNOWN:
        _say(console, "note: this server computes every step: it is older than this client")
    for warning in received.summary.warnings:
        if warning not in received.accepted.warnings:
            _say(console, f"note: {warning}")


def _start(client: Client, options: argparse.Namespace, console: Console) -> EventStream:
    width_px, height_px = options.size
    match = MatchMode.OFF if options.no_match else None if options.require_match is None else MatchMode.REQUIRE
    return client.generate(
        options.picture,
        options.prompt or "",
        timeout_seconds=options.timeout,
        negative_prompt=options.negative,
        width_px=width_px,
        height_px=height_px,
        frame_count=options.frames,
        seconds=options.seconds,
        segments=_segments(options),
        frame_rate=options.fps,
        picture_fit=options.fit,
        step_count=options.steps,
        guidance_scale=options.guidance,
        guidance_scale_low_noise=options.guidance_low,
        seed=options.seed,
        shift=options.shift,
        step_reuse=options.reuse,
        match=match,
        minimum_match_score=options.require_match or 0.0,
        attempts=_attempts(options),
        preview_every_step_count=options.previews if can_show_previews(console) else 0,
        video_container=VideoContainer.FRAGMENTED_MP4 if options.encoder.is_server else None,
        video_codec=options.encoder.codec,
        omit_frames=options.encoder.is_server and options.sheet is None,
    )


def _segments(options: argparse.Namespace) -> list[Segment]:
    lengths = options.stage_frames or [0]
    lengths *= len(options.stages) // len(lengths)
    return [Segment(prompt, length) for prompt, length in zip(options.stages, lengths, strict=True)]


def _attempts(options: argparse.Namespace) -> Attempts | None:
    frames = AttemptFrames.ALL if options.all_attempts else AttemptFrames.ACCEPTED
    return Attempts(options.attempts, options.accept, frames) if options.attempts > 1 else None


def _sheet_font(options: argparse.Namespace, console: Console) -> Font | None:
    """Returns the font of the sheet's caption; found before the call, so that a wrong ``--font`` wastes no clip."""
    if options.sheet is None:
        return None
    font = caption_font(_caption(options), options.font)
    if font is None:
        _say(console, "note: no font here has every character of the sentence; give one by --font")
    return font


def _caption(options: argparse.Namespace) -> str:
    return options.prompt or " / ".join(options.stages)


def _describe_clip(summary: Summary) -> str:
    settings = summary.settings
    attempt = f", attempt {summary.delivered_attempt} of {len(summary.attempts)}" if summary.attempts else ""
    return (
        f"{summary.frame_count} frames of {settings.width_px}x{settings.height_px} at {settings.frame_rate:g} "
        f"frames/s, seed {settings.seed}{attempt}, {summary.work_seconds:.2f} s of work"
    )


def _to_json(value: Any) -> str:
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """Replaces infinities and NaN by None for JSON; the PSNR of identical pictures is infinite."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case bytes():  # pictures, which are written to files of their own
            return None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
