"""Makes clips with a server, through the public client."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

import stillcue
from engine.api.diagnosis import ClipMetrics, Likeness
from evaluation.case import Case, Frames, MadeClip
from evaluation.errors import EvaluationError
from evaluation.making.figures import figures_of

TOKEN_VARIABLE = "STILLCUE_TOKEN"
_COLOURS = 3


class ServerMaker:
    """``address`` is host:port. Raises ``EvaluationError`` unless the server serves the bundle with ``bundle_digest``.

    The token of the server, if it asks for one, stands in the environment variable STILLCUE_TOKEN.
    """

    def __init__(self, address: str, bundle_digest: str, token: str | None) -> None:
        try:
            self._client = stillcue.Client(address, token=token)
            there = self._client.capabilities(timeout_seconds=60.0)
        except (stillcue.StillcueError, ValueError) as error:
            raise EvaluationError(f"the server at {address}: {error}") from error
        if there.model.bundle_digest != bundle_digest:
            self._client.close()
            raise EvaluationError(
                f"the server at {address} serves another bundle ({there.model.name}, manifest "
                f"{there.model.bundle_digest[:12]}) than --bundle (manifest {bundle_digest[:12]}); name the same one"
            )
        self._address = address
        self._attempts = there.attempts

    @property
    def accept_from(self) -> float | None:
        """The judged chance from which the server accepts a clip; None: its bundle cannot judge clips."""
        return None if self._attempts is None else self._attempts.accept_from

    def make(self, case: Case) -> MadeClip:
        """See ``ClipMaker``."""
        started = time.perf_counter()
        frames, summary = self._generate(case, None)
        return _clip_of(_pixels(frames), summary, time.perf_counter() - started)

    def make_attempts(
        self, case: Case, maximum_count: int, accept: float
    ) -> tuple[list[MadeClip], Sequence[stillcue.AttemptResult], int]:
        """The clip of every attempt of a job, what became of each, and the number of the delivered one.

        The figures of every clip are those of the delivered one.
        """
        frames, summary = self._generate(case, stillcue.Attempts(maximum_count, accept, stillcue.AttemptFrames.ALL))
        of_attempts = [[frame for frame in frames if frame.attempt == item.number] for item in summary.attempts]
        clips = [_clip_of(_pixels(listed), summary, 0.0) for listed in of_attempts]
        return clips, summary.attempts, summary.delivered_attempt

    def _generate(
        self, case: Case, attempts: stillcue.Attempts | None
    ) -> tuple[list[stillcue.Frame], stillcue.Summary]:
        """The frames and the summary of a job."""
        frames: list[stillcue.Frame] = []
        summary: stillcue.Summary | None = None
        try:
            for event in self._client.generate(
                case.picture,
                case.prompt,
                seed=case.seed,
                step_count=case.sampling.step_count,
                guidance_scale=case.sampling.guidance_scale,
                match=stillcue.MatchMode.REPORT,
                frame_encoding=stillcue.FrameEncoding.RAW_RGB,
                attempts=attempts,
            ):
                if isinstance(event, stillcue.Frame):
                    frames.append(event)
                elif isinstance(event, stillcue.Summary):
                    summary = event
        except stillcue.StillcueError as error:
            raise EvaluationError(f"the server at {self._address}, pair {case.pair}: {error}") from error
        assert summary is not None
        return frames, summary

    def close(self) -> None:
        """See ``ClipMaker``."""
        self._client.close()


def _pixels(frames: list[stillcue.Frame]) -> Frames:
    shape = (frames[0].height_px, frames[0].width_px, _COLOURS)
    return np.stack([np.frombuffer(frame.data, np.uint8).reshape(shape) for frame in frames])


def _clip_of(frames: Frames, summary: stillcue.Summary, seconds: float) -> MadeClip:
    assert summary.diagnosis is not None
    figures = figures_of(summary, summary.settings, _metrics_of(summary.diagnosis.metrics), seconds)
    return MadeClip(frames, summary.first_frame_psnr_db, figures)


def _metrics_of(metrics: stillcue.ClipMetrics) -> ClipMetrics:
    """The metrics as the engine has them. An older server, which lacks some, cannot be measured."""
    subject, drift, new_content = metrics.vbench_like_subject_consistency, metrics.subject_drift, metrics.new_content
    edge_gain, saturation_gain = metrics.edge_gain, metrics.saturation_gain
    if subject is None or drift is None or new_content is None or edge_gain is None or saturation_gain is None:
        raise EvaluationError("the server does not report every figure of a clip; update the server")
    return ClipMetrics(
        dynamic_degree=metrics.vbench_like_dynamic_degree,
        motion_speed=metrics.motion_speed,
        temporal_flicker=metrics.vbench_like_temporal_flicker,
        largest_change=metrics.largest_change,
        burnt_gain=metrics.burnt_gain,
        likeness=Likeness(subject, metrics.vbench_like_background_consistency, drift, new_content),
        edge_gain=edge_gain,
        saturation_gain=saturation_gain,
    )
