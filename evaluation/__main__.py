"""``python -m evaluation run --bundle B --plan PLAN.toml --out FOLDER``, ``judge FOLDER`` and ``report FOLDER``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.api.errors import BundleInvalid
from engine.bundle.folder import read_manifest
from engine.host.processors import Processors
from evaluation.errors import EvaluationError
from evaluation.plan.model import Plan
from evaluation.plan.reading import RunPlan, keep_run_plan, read_plan, read_run_plan
from evaluation.running.judging import judge_run
from evaluation.running.kept_clips import CLIPS_FOLDER
from evaluation.running.runner import run
from evaluation.running.worker import WorkerSettings

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns 0, 1 for what was refused, 130 for an interrupted run."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (EvaluationError, BundleInvalid) as error:
        sys.stderr.write(f"evaluation: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("evaluation: interrupted; every finished clip is kept, and the same command goes on\n")
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description="Measures what decides a clip's quality.")
    commands = parser.add_subparsers(required=True)
    run_parser = commands.add_parser("run", help="make and judge the clips of a plan; an interrupted run goes on")
    run_parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    run_parser.add_argument("--plan", type=Path, required=True, help="plan as TOML, see docs/evaluation.md")
    run_parser.add_argument("--out", type=Path, required=True, help="folder for the clips' figures")
    run_parser.add_argument("--server", metavar="HOST:PORT", help="a server of that bundle, instead of this process")
    run_parser.add_argument("--jobs", type=int, help="clips at a time (default: the processors, 1 with a GPU)")
    run_parser.add_argument("--keep-clips", action="store_true", help="keep the frames too, in OUT/clips")
    run_parser.add_argument("--estimate", action="store_true", help="make one clip, print the estimate and stop")
    run_parser.set_defaults(command=_run)
    judge_parser = commands.add_parser("judge", help="judge the kept clips of a run again, with a bundle that changed")
    judge_parser.add_argument("folder", type=Path, help="folder of a run with --keep-clips")
    judge_parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    judge_parser.add_argument("--plan", type=Path, help="plan whose texts replace those of the run")
    judge_parser.add_argument("--jobs", type=int, help="clips at a time (default: the processors)")
    judge_parser.set_defaults(command=_judge)
    report_parser = commands.add_parser("report", help="write the page and the figures of a run")
    report_parser.add_argument("folder", type=Path, help="folder of a run")
    report_parser.add_argument("--page", type=Path, default=Path("docs/evidence.md"))
    report_parser.add_argument("--pictures", type=Path, default=Path("docs/pictures/evidence"))
    report_parser.set_defaults(command=_report)
    return parser


def _run(options: argparse.Namespace) -> int:
    plan = read_plan(options.plan)
    run_plan = _run_plan(plan, options.bundle)
    keep_run_plan(options.out, run_plan)
    settings = WorkerSettings(
        plan=plan,
        plan_folder=options.plan.parent,
        bundle=options.bundle,
        bundle_digest=run_plan.bundle_digest,
        server=options.server,
        clips_folder=options.out / CLIPS_FOLDER if options.keep_clips else None,
    )
    run(run_plan, settings, options.out, options.jobs or _processes(), say=_say, only_estimate=options.estimate)
    return 0


def _judge(options: argparse.Namespace) -> int:
    plan = read_plan(options.plan) if options.plan else read_run_plan(options.folder).plan
    if plan.pairs is not None and options.plan is None:
        raise EvaluationError(f"{options.folder}: the pictures lie beside the plan; name the plan with --plan")
    run_plan = _run_plan(plan, options.bundle)
    settings = WorkerSettings(
        plan=plan,
        plan_folder=options.plan.parent if options.plan else Path(),
        bundle=options.bundle,
        bundle_digest=run_plan.bundle_digest,
        server=None,
        clips_folder=options.folder / CLIPS_FOLDER,
    )
    judge_run(run_plan, settings, options.folder, options.jobs or _processes(), say=_say)
    return 0


def _report(options: argparse.Namespace) -> int:
    from evaluation.report import write_report  # needs the extra `evaluation`

    write_report(options.folder, options.page, options.pictures)
    return 0


def _run_plan(plan: Plan, bundle: Path) -> RunPlan:
    manifest, digest = read_manifest(bundle)
    return RunPlan(
        plan=plan,
        bundle_name=manifest.name,
        bundle_digest=digest,
        default_guidance_scale=manifest.guidance.scale,
        default_step_count=manifest.schedule.step_count,
    )


def _processes() -> int:
    return Processors.of_this_process().count


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
