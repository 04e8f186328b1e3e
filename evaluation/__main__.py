"""``python -m evaluation run --bundle B --plan PLAN.toml --out FOLDER``, ``judge FOLDER`` and ``report FOLDER``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.api.errors import BundleInvalid
from engine.bundle.folder import read_manifest
from engine.host.processors import Processors
from evaluation.attempts import AttemptRun
from evaluation.errors import EvaluationError
from evaluation.examples import score_examples
from evaluation.making.server_maker import TOKEN_VARIABLE, ServerMaker
from evaluation.plan.model import Plan
from evaluation.plan.reading import RunPlan, keep_run_plan, read_plan, read_run_plan
from evaluation.record import read_records
from evaluation.running.judging import judge_run, refit_run
from evaluation.running.kept_clips import CLIPS_FOLDER
from evaluation.running.runner import run
from evaluation.running.worker import WorkerSettings, source_of

_INTERRUPTED = 130
_FEWEST_SEEDS = 2


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
    judge_parser = commands.add_parser("judge", help="judge the clips of a run again, with the fits of a bundle")
    judge_parser.add_argument("folder", type=Path, help="folder of a run")
    judge_parser.add_argument("--frames", action="store_true", help="measure kept frames anew, after a scorer changed")
    judge_parser.add_argument("--truth", action="store_true", help="with --frames: compare with the drawn clips anew")
    judge_parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    judge_parser.add_argument("--plan", type=Path, help="plan whose texts replace those of the run")
    judge_parser.add_argument("--jobs", type=int, help="clips at a time (default: the processors)")
    judge_parser.set_defaults(command=_judge)
    attempts_parser = commands.add_parser("attempts", help="measure what further attempts gain, through a server")
    attempts_parser.add_argument("folder", type=Path, help="folder of a run that was judged with the fitted bundle")
    attempts_parser.add_argument("--server", required=True, metavar="HOST:PORT", help="a server of that bundle")
    attempts_parser.add_argument("--arm", action="append", required=True, help="arm with several seeds; repeatable")
    attempts_parser.add_argument(
        "--accept", type=float, help="accept a clip from this chance on (default: the bundle's)"
    )
    attempts_parser.set_defaults(command=_attempts)
    examples_parser = commands.add_parser("examples", help="score sentences on pictures for the report; makes no clip")
    examples_parser.add_argument("folder", type=Path, help="folder of a run")
    examples_parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    examples_parser.add_argument("--pairs", type=Path, required=True, help="file of pairs, the best sentence first")
    examples_parser.set_defaults(command=_examples)
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
    if options.frames and plan.pairs is not None and options.plan is None:
        raise EvaluationError(f"{options.folder}: the pictures lie beside the plan; name the plan with --plan")
    run_plan = _run_plan(plan, options.bundle)
    if not options.frames:
        refit_run(run_plan, options.bundle, options.folder)
        return 0
    settings = WorkerSettings(
        plan=plan,
        plan_folder=options.plan.parent if options.plan else Path(),
        bundle=options.bundle,
        bundle_digest=run_plan.bundle_digest,
        server=None,
        clips_folder=options.folder / CLIPS_FOLDER,
    )
    processes = options.jobs or _processes()
    judge_run(run_plan, settings, options.folder, processes, with_truth=options.truth, say=_say)
    return 0


def _attempts(options: argparse.Namespace) -> int:
    run_plan = read_run_plan(options.folder)
    by_id = {arm.id: arm for arm in run_plan.plan.arm}
    wrong = [name for name in options.arm if name not in by_id or by_id[name].seeds < _FEWEST_SEEDS]
    if wrong or run_plan.plan.world is None:
        raise EvaluationError(f"--arm {wrong[0] if wrong else options.arm[0]}: name an arm of a world with seeds >= 2")
    maker = ServerMaker(options.server, run_plan.bundle_digest, os.environ.get(TOKEN_VARIABLE))
    source = source_of(run_plan.plan, Path())
    run = AttemptRun(
        source,
        maker,
        read_records(options.folder),
        options.folder,
        default_guidance_scale=run_plan.default_guidance_scale,
        say=_say,
        accept=options.accept,
    )
    try:
        run.run([by_id[name] for name in options.arm])
    finally:
        maker.close()
    return 0


def _examples(options: argparse.Namespace) -> int:
    score_examples(options.pairs, options.bundle, options.folder, say=_say)
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
