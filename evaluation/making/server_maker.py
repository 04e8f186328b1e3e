"""Makes clips with a server, through the public client."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

import numpy as np

import stillcue
from engine.analysis.diagnosis.clip_factors import clip_factors
from engine.api.diagnosis import ClipMetrics, Likeness
from evaluation.case import Case, Frames, MadeClip
from evaluation.errors import EvaluationError
from evaluation.record import ClipSettings

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

    def make_attempts(self, case: Case, maximum_count: int, accept: float) -> tuple[list[MadeClip], int]:
        """The clip of every attempt of a job, and the number of the delivered one.

        Of the clips that were not delivered only frames and chance are their own.
        """
        started = time.perf_counter()
        frames, summary = self._generate(case, stillcue.Attempts(maximum_count, accept, stillcue.AttemptFrames.ALL))
        whole = _clip_of(_pixels([frame for frame in frames if frame.attempt == 1]), summary, 0.0)
        seconds = time.perf_counter() - started
        clips = [
            replace(
                whole,
                frames=_pixels([frame for frame in frames if frame.attempt == result.number]),
                clip_chance=None if result.success is None else result.success.probability,
                seconds=seconds / len(summary.attempts),
            )
            for result in summary.attempts
        ]
        return clips, summary.delivered_attempt

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
    report, diagnosis, settings = summary.match_report, summary.diagnosis, summary.settings
    assert report is not None
    assert report.success is not None
    assert diagnosis is not None
    wanted = {name: value for name, value in asdict(settings).items() if name in ClipSettings.model_fields}
    scores = [item.score for item in summary.frame_matches]
    return MadeClip(
        frames=frames,
        settings=ClipSettings.model_validate(wanted),
        score=report.score,
        verdict=report.verdict.value,
        chance=report.success.probability,
        chance_basis=report.success.basis.value,
        first_frame_psnr_db=summary.first_frame_psnr_db,
        pair_factors={item.name: item.value for item in report.success.factors},
        clip_factors=clip_factors(_metrics_of(diagnosis.metrics), scores, summary.first_frame_psnr_db),
        clip_chance=None if summary.success is None else summary.success.probability,
        symptoms=[item.kind.value for item in diagnosis.symptoms],
        remedies=[item.kind.value for item in diagnosis.remedies],
        seconds=seconds,
    )


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
