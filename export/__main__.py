"""``python -m export CHECKPOINT --out BUNDLE --size WxH --frames N [--gpu rtx3090] [--precision auto]``."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from engine.api.capabilities import Geometry
from export.errors import ExportError
from export.options import (
    AttentionOption,
    PrecisionOption,
    VerifyOption,
    adapter_options,
    add_adapter_options,
    add_component_options,
    component_options,
    parse_size_option,
)

if TYPE_CHECKING:
    from export.bundle.plan import ExportPlan


def main(arguments: list[str] | None = None) -> int:
    """Runs an export or a dry run. Returns 0, 1 for a refused or failed export, 130 after an interrupt."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except ExportError as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description="Turns a Wan2.2 checkpoint into a bundle to serve."
    )
    add_component_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--size", type=_size, action="append", required=True, help="WIDTHxHEIGHT in pixels; may be given more than once"
    )
    parser.add_argument(
        "--frames", type=int, action="append", required=True, help="frame count, 4n + 1; may be given more than once"
    )
    parser.add_argument(
        "--gpu", action="append", default=[], help="compile for rtx3090 or rtx4090; may be given more than once"
    )
    parser.add_argument(
        "--precision",
        choices=get_args(PrecisionOption),
        default="auto",
        help="precision of the transformers; auto: int4 with --gpu, else fp32 (other components: docs/precision.md)",
    )
    parser.add_argument(
        "--attention",
        choices=get_args(AttentionOption),
        default="auto",
        help="self-attention with --precision fp8, in half precision or in FP8 (docs/precision.md); auto: the recipe's",
    )
    parser.add_argument(
        "--plans-only",
        action="store_true",
        help="with --gpu: leave graphs and weights out of the bundle, which then serves on those GPUs alone and takes "
        "about half the space",
    )
    parser.add_argument("--calibration", type=Path, help="folder that `python -m export.quantise.calibrate` wrote")
    add_adapter_options(parser)
    parser.add_argument(
        "--distilled",
        action="store_true",
        help="the adapters were trained for four steps without guidance; make these the defaults",
    )
    parser.add_argument(
        "--verify",
        choices=get_args(VerifyOption),
        default="auto",
        help="compare graphs with torch; auto: graphs of components that are small enough to be loaded",
    )
    parser.add_argument(
        "--groups",
        type=_group_count,
        metavar="N",
        help="with --gpu: compile each transformer as N plans, of N groups of its blocks (default: as few as the "
        "memory of this machine allows)",
    )
    parser.add_argument("--compiler", default="tensorrt_rtx", help="compiler module: tensorrt_rtx or tensorrt")
    parser.add_argument(
        "--dry-run", action="store_true", help="check options, checkpoint, disk and memory; write nothing"
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
    try:
        return parse_size_option(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _group_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of groups, 1 or more")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # read when the library is imported
    from export.bundle.check import check
    from export.bundle.exporter import export_bundle
    from export.library_logging import hide_progress_bars

    hide_progress_bars()
    plan = _plan(options)
    if options.dry_run:
        check(plan, report=lambda line: print(line, flush=True))
        return
    started = time.monotonic()
    manifest = export_bundle(plan, lambda line: print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True))
    print(f"{options.out}: {len(manifest.graphs)} graphs, {sum(f.byte_count for f in manifest.files.values())} bytes")


def _plan(options: argparse.Namespace) -> ExportPlan:
    from export.bundle.plan import ExportPlan
    from export.tensorrt import find_target
    from export.weights.layouts.opening import open_checkpoint
    from export.weights.serving_defaults import FAMILY_DEFAULTS, LIGHTNING_4_STEPS

    checkpoint = open_checkpoint(options.checkpoint, component_options(options))
    defaults = FAMILY_DEFAULTS[checkpoint.family]
    if options.distilled:
        defaults = defaults.distilled(LIGHTNING_4_STEPS)
    chosen = {
        "step_count": options.steps,
        "guidance_scale": options.guidance,
        "guidance_scale_low_noise": options.guidance_low_noise,
        "shift": options.shift,
        "frame_rate": options.frame_rate,
        "negative_prompt": options.negative_prompt,
    }
    scorer_inside = None if options.checkpoint is None else options.checkpoint / "scorer"
    return ExportPlan(
        checkpoint=checkpoint,
        out=options.out,
        geometries=tuple(
            Geometry(width, height, frames)
            for (width, height), frames in itertools.product(options.size, options.frames)
        ),
        defaults=dataclasses.replace(defaults, **{key: value for key, value in chosen.items() if value is not None}),
        name=options.name or checkpoint.name,
        scorer=options.scorer or (scorer_inside if scorer_inside is not None and scorer_inside.is_dir() else None),
        notices=tuple(options.notice),
        precision=options.precision,
        verify=options.verify,
        targets=tuple(dict.fromkeys(find_target(name) for name in options.gpu)),
        compiler=options.compiler,
        adapters=adapter_options(options),
        calibration=options.calibration,
        attention=options.attention,
        distilled=LIGHTNING_4_STEPS if options.distilled else None,
        is_plans_only=options.plans_only,
        block_group_count=options.groups,
    )


if __name__ == "__main__":
    sys.exit(main())
