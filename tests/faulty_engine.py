"""Fake engines that fail, with a text that no caller may see or by being lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.errors import EngineLost
from engine.api.job import ClipPlan
from engine.testing.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.api.cancellation import CancelFlag
    from engine.api.events import Event
    from engine.api.job import Job, PreparedJob
    from engine.api.match_report import MatchReport
    from engine.api.media import Image


class FaultyEngine(FakeEngine):
    """Fails in a given way at its first graph call."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self._fault = fault

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        yield next(super().generate(job, cancel))
        raise self._fault

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        raise self._fault


class LosingEngine(FakeEngine):
    """Is lost at the given graph call, counted over all runs from 1; each loss happens once."""

    def __init__(self, *losses: int) -> None:
        super().__init__()
        self._losses = set(losses)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        for event in super().generate(job, cancel):
            if len(self.graph_calls) in self._losses:
                self._losses.remove(len(self.graph_calls))
                raise EngineLost(1.0)
            yield event


SECRET = "/srv/bundle/transformer_high.onnx"


class FaultyPreparation(FakeEngine):
    """Fails while a job is prepared."""

    def prepare(self, job: Job) -> PreparedJob:
        raise RuntimeError(SECRET)
