"""``python -m export CHECKPOINT --out BUNDLE --size WxH --frames N``."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import re
import sys
import time
from pathlib import Path

from engine.types import Geometry
from export.errors import ExportError


def main(arguments: list[str] | None = None) -> int:
    """Runs an export; returns the exit status: 0, 1 for a refused or failed export, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        _export(options)
    except ExportError as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: interrupted; run the same command again", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description="Turns a Wan2.2 checkpoint (Diffusers layout) into a bundle to serve."
    )
    parser.add_argument("checkpoint", type=Path, help="folder with model_index.json")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--size", type=_size, action="append", required=True, help="WIDTHxHEIGHT in pixels; may be given more than once"
    )
    parser.add_argument(
        "--frames", type=int, action="append", required=True, help="frame count, 4n + 1; may be given more than once"
    )
    parser.add_argument("--scorer", type=Path, help="SigLIP folder for match scores (default: CHECKPOINT/scorer)")
    parser.add_argument("--name", help="name that clients see (default: the checkpoint folder's)")
    parser.add_argument("--steps", type=int, help="default number of denoising steps")
    parser.add_argument("--guidance", type=float, help="default guidance scale")
    parser.add_argument("--guidance-low-noise", type=float, help="default guidance scale of the low-noise expert")
    parser.add_argument("--shift", type=float, help="default shift (default: the checkpoint's)")
    parser.add_argument("--frame-rate", type=float, help="default frames per second")
    parser.add_argument("--negative-prompt", help="default negative prompt")
    parser.add_argument("--notice", action="append", default=[], help="a sentence that clients see in the capabilities")
    return parser


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)[xX×](\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, for example 480x480")
    return int(found.group(1)), int(found.group(2))


def _export(options: argparse.Namespace) -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # read when the library is imported
    from export.bundling import Export
    from export.checkpoint import open_checkpoint
    from export.defaults import FAMILY_DEFAULTS
    from export.plan import ExportPlan
    from export.quiet import hide_progress_bars

    hide_progress_bars()
    checkpoint = open_checkpoint(options.checkpoint)
    chosen = {
        "step_count": options.steps,
        "guidance_scale": options.guidance,
        "guidance_scale_low_noise": options.guidance_low_noise,
        "shift": options.shift,
        "frame_rate": options.frame_rate,
        "negative_prompt": options.negative_prompt,
    }
    defaults = dataclasses.replace(
        FAMILY_DEFAULTS[checkpoint.family], **{key: value for key, value in chosen.items() if value is not None}
    )
    bundled_scorer = options.checkpoint / "scorer"
    plan = ExportPlan(
        checkpoint=checkpoint,
        out=options.out,
        geometries=tuple(
            Geometry(width, height, frames)
            for (width, height), frames in itertools.product(options.size, options.frames)
        ),
        defaults=defaults,
        name=options.name or options.checkpoint.resolve().name,
        scorer=options.scorer or (bundled_scorer if bundled_scorer.is_dir() else None),
        notices=tuple(options.notice),
    )
    started = time.monotonic()
    manifest = Export(plan, lambda line: print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)).run()
    print(f"{options.out}: {len(manifest.graphs)} graphs, {sum(f.byte_count for f in manifest.files.values())} bytes")


if __name__ == "__main__":
    sys.exit(main())
