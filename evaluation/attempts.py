"""Measures the gain of further attempts: jobs through a server, against a prediction from clips of single attempts.

The pairs and seeds are those of an arm of a run with several seeds, so that attempt k of a job has the seed of the k-th
clip of its pair. Every attempt is judged by the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter

from evaluation.case import CaseSource
from evaluation.errors import EvaluationError
from evaluation.labels import label
from evaluation.making.server_maker import ServerMaker
from evaluation.plan.model import Arm
from evaluation.record import ClipRecord
from evaluation.side_files import Attempts, write_attempts
from export.atomic_file import write_text

JOBS_NAME = "attempt_jobs.json"


class Tried(NamedTuple):
    """One attempt: the judged chance that the clip is good, and whether it is."""

    chance: float
    success: bool


class Job(BaseModel):
    """A job of an arm: its attempts in order, and the number of the delivered one, from 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str
    pair: int
    accept_from: float
    attempts: tuple[Tried, ...]
    delivered: int

    @property
    def keeps_the_rule(self) -> bool:
        """No attempt follows an accepted one, and the delivered one is that, or the best of all."""
        accepted = [index for index, tried in enumerate(self.attempts) if tried.chance >= self.accept_from]
        ends_there = not accepted or accepted == [len(self.attempts) - 1]
        return ends_there and self.delivered == chosen(self.attempts, self.accept_from) + 1


@dataclass(frozen=True)
class AttemptRun:
    """Runs the jobs of arms. ``records`` are the clips of the run that the arms belong to.

    ``accept``: the judged chance from which a clip is accepted; None: the bundle's.
    """

    source: CaseSource
    maker: ServerMaker
    records: Sequence[ClipRecord]
    folder: Path
    default_guidance_scale: float
    say: Callable[[str], None]
    accept: float | None = None

    def run(self, arms: Sequence[Arm]) -> None:
        """Makes the jobs that the folder lacks, and writes what they gained. Raises ``EvaluationError``."""
        fitted = self.maker.accept_from
        if fitted is None:
            raise EvaluationError("the server's bundle cannot judge clips: fit it with `export.calibrate --outcomes`")
        accept_from = fitted if self.accept is None else self.accept
        jobs = _read_jobs(self.folder / JOBS_NAME)
        made = {(job.arm, job.pair) for job in jobs if job.accept_from == accept_from}
        for arm in arms:
            for pair in range(self.source.count_of(arm) // arm.seeds):
                if (arm.id, pair) not in made:
                    jobs.append(self._job(arm, pair, accept_from))
                    _write_jobs(self.folder / JOBS_NAME, jobs)
                    if len(jobs) % 20 == 0:
                        self.say(f"{len(jobs)} jobs made")
        rows = [
            row
            for arm in arms
            for row in self._rows(arm, [job for job in jobs if (job.arm, job.accept_from) == (arm.id, accept_from)])
        ]
        write_attempts(self.folder, rows)

    def _job(self, arm: Arm, pair: int, accept_from: float) -> Job:
        first = pair * arm.seeds
        clips, results, delivered = self.maker.make_attempts(self.source.case_of(arm, first), arm.seeds, accept_from)
        attempts = []
        for number, (clip, result) in enumerate(zip(clips, results, strict=True)):
            truth = self.source.truth_of(arm, first + number, clip)
            assert truth is not None
            assert result.success is not None
            attempts.append(Tried(round(result.success.probability, 6), truth.success))
        return Job(arm=arm.id, pair=pair, accept_from=accept_from, attempts=tuple(attempts), delivered=delivered)

    def _rows(self, arm: Arm, jobs: Sequence[Job]) -> Iterator[Attempts]:
        """Success with at most 1, 2, ... attempts, and the prediction from single clips."""
        singles, accept_from = self._singles(arm), jobs[0].accept_from
        for count in range(1, arm.seeds + 1):
            yield Attempts(
                arm=arm.id,
                guidance=arm.sampling.guidance_scale or self.default_guidance_scale,
                accept_from=accept_from,
                attempts=count,
                success=sum(policy(job.attempts[:count], accept_from) for job in jobs),
                count=len(jobs),
                predicted=round(predicted(singles, accept_from, count), 4),
                predicted_if_independent=round(if_independent(singles, accept_from, count), 4),
                clips=sum(len(job.attempts[:count]) for job in jobs),
                broken_rules=sum(not job.keeps_the_rule for job in jobs),
            )

    def _singles(self, arm: Arm) -> list[list[Tried]]:
        """The clips of the arm by pair, from the run."""
        successes = label(self.records, self.folder).successes
        by_pair: dict[int, list[Tried]] = {}
        for record in sorted(self.records, key=lambda item: item.key):
            if record.arm == arm.id:
                if record.clip_chance is None:
                    raise EvaluationError(
                        f"{self.folder}: the clips of {arm.id} have no judged chance; "
                        "run `python -m evaluation judge` with the fitted bundle first"
                    )
                by_pair.setdefault(record.index // arm.seeds, []).append(
                    Tried(record.clip_chance, successes[record.key])
                )
        return [by_pair[pair] for pair in sorted(by_pair)]


def chosen(attempts: Sequence[Tried], accept_from: float) -> int:
    """The index of the delivered attempt: the first accepted one, else the one with the highest chance."""
    for index, tried in enumerate(attempts):
        if tried.chance >= accept_from:
            return index
    return max(range(len(attempts)), key=lambda index: attempts[index].chance)


def policy(attempts: Sequence[Tried], accept_from: float) -> bool:
    """True if the delivered attempt is good."""
    return attempts[chosen(attempts, accept_from)].success


def predicted(singles: Sequence[Sequence[Tried]], accept_from: float, count: int) -> float:
    """Expected success with at most ``count`` attempts: the mean over pairs and over every order of their clips.

    Exact for seeds that are exchangeable; pairs keep their own rates and the judge its own errors on them.
    """
    return fmean(fmean(policy(order, accept_from) for order in permutations(clips, count)) for clips in singles)


def if_independent(singles: Sequence[Sequence[Tried]], accept_from: float, count: int) -> float:
    """Expected success if every pair had the mean rate: r, and the judge's mean rates of accepting good and bad clips.

    A job ends with an accepted clip, or after ``count`` rejected ones with a clip as good as a rejected one.
    """
    clips = [tried for pair in singles for tried in pair]
    accepted = [tried for tried in clips if tried.chance >= accept_from]
    rejected = [tried for tried in clips if tried.chance < accept_from]
    accepted_share = len(accepted) / len(clips)
    good_accepted = fmean(tried.success for tried in accepted) if accepted else 0.0
    good_rejected = fmean(tried.success for tried in rejected) if rejected else 0.0
    all_rejected = (1.0 - accepted_share) ** count
    return (1.0 - all_rejected) * good_accepted + all_rejected * good_rejected


def _read_jobs(path: Path) -> list[Job]:
    return TypeAdapter(list[Job]).validate_json(path.read_bytes()) if path.exists() else []


def _write_jobs(path: Path, jobs: Sequence[Job]) -> None:
    write_text(path, TypeAdapter(list[Job]).dump_json(list(jobs), indent=None).decode() + "\n")
