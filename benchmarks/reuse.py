"""Reuse of denoising steps, measured on pocket: time, and likeness to the clip of which every step is computed.

    python -m benchmarks.reuse --json FILE --folder FOLDER [--bundle pocket/model] [--clips 60] [--steps 20,40]
                               [--guidance SCALE] [--threads 0]

Each held-out pair of pocket's world is made without reuse, with each profile, and, as a yardstick, without reuse in as
many steps as BALANCED computes. The conditions take turns in going first. Time ratios are medians over clips of the
same pair, of wall clock and of the process's own processor time, from the prepared job to the last frame, without a
match score and with every cache off. PSNR compares with the clip without reuse; motion and subject are judged against
the drawn clip, as in ``pocket.evaluate``.

FOLDER keeps a line for each finished pair: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Report
from benchmarks.reuse_judge import Pair, judge_clip, pair_of
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady, JobDone, Stage
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.media import Image
from engine.api.reuse import StepReuse, StepWork
from engine.api.settings import EngineSettings
from engine.generate.bundle_engine import BundleEngine
from engine.generate.opening import open_bundle
from pocket.evaluation.judgement import psnr_db
from pocket.settings import BUNDLE_FOLDER

_TIME_TARGET, _POINTS_FLOOR = 0.65, -2.0
FEWER = "fewer_steps"
_Frames = NDArray[np.uint8]
_Figures = dict[str, float]


@dataclass(frozen=True)
class Condition:
    """A way to make the clip of a pair."""

    name: str
    step_count: int
    reuse: StepReuse = StepReuse.OFF


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the clips that the folder lacks, writes the figures after each pair, and prints them."""
    options = _options(arguments)
    settings = EngineSettings(options.threads, text_cache_entry_count=0, picture_cache_bytes=0)
    engine = open_bundle(options.bundle, settings)
    if not engine.capabilities().reuse_supported:
        raise SystemExit(f"{options.bundle} does not support reuse of steps: export its checkpoint again")
    kept = _KeptPairs(options.folder, engine.capabilities().bundle_digest, options.guidance)
    for index in range(options.clips):
        for step_count in options.steps:
            if kept.find(step_count, index) is None:
                kept.add(step_count, index, _make_pair(engine, pair_of(index), step_count, index, options.guidance))
        report = _report(kept, index + 1, options)
        report.write(options.json)  # of the pairs so far: an interrupted run has figures too
        print(f"pair {index + 1} of {options.clips}", flush=True)
    report.show()


def _report(kept: _KeptPairs, pair_count: int, options: argparse.Namespace) -> Report:
    figures: dict[str, float] = {"clip_count": pair_count, "thread_count": options.threads}
    for step_count in options.steps:
        pairs = [kept.find(step_count, index) or {} for index in range(pair_count)]
        figures |= _figures_of(pairs, step_count)
    floors = {name: _POINTS_FLOOR for name in figures if name.endswith("_points") and not name.startswith(FEWER)}
    return Report("reuse", figures, {f"balanced_{max(options.steps)}_time_ratio": _TIME_TARGET}, floors)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reuse")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--folder", type=Path, required=True, help="folder that keeps finished pairs")
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER, help="pocket's bundle")
    parser.add_argument("--clips", type=int, default=60, help="pairs of each number of steps")
    parser.add_argument("--steps", type=_step_counts, default=(20, 40), help="numbers of steps, separated by commas")
    parser.add_argument("--guidance", type=float, help="default: the bundle's")
    parser.add_argument("--threads", type=int, default=0, help="of one graph call; 0: one for each core")
    return parser.parse_args(arguments)


def _step_counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _make_pair(
    engine: BundleEngine, pair: Pair, step_count: int, index: int, guidance_scale: float | None
) -> dict[str, _Figures]:
    """The figures of one pair in every condition, by its name."""
    profiles = [Condition(reuse.value, step_count, reuse) for reuse in StepReuse]
    turn = index % len(profiles)
    clips = {
        condition.name: _make(engine, pair, condition, guidance_scale)
        for condition in profiles[turn:] + profiles[:turn]
    }
    _, balanced = clips[StepReuse.BALANCED.value]
    computed = round(balanced["full"] + balanced["guidance_reused"])
    clips[FEWER] = _make(engine, pair, Condition(FEWER, computed), guidance_scale)
    whole, _ = clips[StepReuse.OFF.value]
    return {
        name: {**figures, **judge_clip(frames, pair), "psnr_db": psnr_db(frames, whole)}
        for name, (frames, figures) in clips.items()
    }


def _make(
    engine: BundleEngine, pair: Pair, condition: Condition, guidance_scale: float | None
) -> tuple[_Frames, _Figures]:
    sampling = SamplingSpec(condition.step_count, guidance_scale, guidance_scale, seed=pair.seed, reuse=condition.reuse)
    job = Job(Image(pair.picture), pair.sentence, sampling=sampling, match=MatchPolicy(MatchMode.OFF))
    prepared = engine.prepare(job)
    started, started_processor = time.perf_counter(), time.process_time()
    events = list(engine.generate(prepared, CancelFlag()))
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - started_processor
    (done,) = (event for event in events if isinstance(event, JobDone))
    frames = np.stack([event.pixels for event in events if isinstance(event, FrameReady)])
    return frames, {
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "denoise_seconds": done.stage_seconds[Stage.DENOISE],
        **{work.value: float(done.step_counts.get(work, 0)) for work in StepWork},
    }


def _figures_of(pairs: Sequence[Mapping[str, _Figures]], step_count: int) -> Iterator[tuple[str, float]]:
    """Figures of one number of steps over all pairs, by ``CONDITION_STEPS_FIGURE``."""
    for name in (*(reuse.value for reuse in StepReuse), FEWER):
        made = [pair[name] for pair in pairs]
        whole = [pair[StepReuse.OFF.value] for pair in pairs]
        prefix = f"{name}_{step_count}"
        for what in ("motion", "subject"):
            share, before = (statistics.mean(item[what] for item in items) for items in (made, whole))
            yield f"{prefix}_{what}_share", share
            if name != StepReuse.OFF.value:
                yield f"{prefix}_{what}_points", 100.0 * (share - before)
        for work in StepWork:
            yield f"{prefix}_{work.value}_step_count", made[0][work.value]
        if name == StepReuse.OFF.value:
            yield f"{prefix}_seconds", statistics.median(item["seconds"] for item in made)
            continue
        for figure, key in (
            ("time_ratio", "seconds"),
            ("processor_time_ratio", "processor_seconds"),
            ("denoise_ratio", "denoise_seconds"),
        ):
            ratios = [item[key] / before[key] for item, before in zip(made, whole, strict=True)]
            yield f"{prefix}_{figure}", statistics.median(ratios)
        psnrs = [item["psnr_db"] for item in made]
        yield f"{prefix}_psnr_db", statistics.mean(psnrs)
        yield f"{prefix}_lowest_psnr_db", min(psnrs)


class _KeptPairs:
    """Finished pairs in ``pairs.jsonl``. A torn last line counts as not written."""

    def __init__(self, folder: Path, bundle_digest: str, guidance_scale: float | None) -> None:
        """Raises ``SystemExit`` for the pairs of another bundle or guidance."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "pairs.jsonl"
        self._source = {"bundle_digest": bundle_digest, "guidance_scale": guidance_scale}
        self._pairs: dict[tuple[int, int], dict[str, _Figures]] = {}
        whole = self._file.read_text(encoding="utf-8").rpartition("\n")[0] if self._file.exists() else ""
        for line in whole.splitlines():
            record: dict[str, Any] = json.loads(line)
            if record["source"] != self._source:
                raise SystemExit(f"{folder} holds pairs of another bundle or guidance; name another --folder")
            self._pairs[record["step_count"], record["index"]] = record["conditions"]
        self._file.write_text(whole + "\n" if whole else "", encoding="utf-8")

    def find(self, step_count: int, index: int) -> dict[str, _Figures] | None:
        return self._pairs.get((step_count, index))

    def add(self, step_count: int, index: int, conditions: dict[str, _Figures]) -> None:
        record = {"source": self._source, "step_count": step_count, "index": index, "conditions": conditions}
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        self._pairs[step_count, index] = conditions


if __name__ == "__main__":
    main()
