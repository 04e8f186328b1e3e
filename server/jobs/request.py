"""A Generate request as the job service gets it, without protobuf. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.api.fields import Field
    from engine.api.job import Job
    from server.errors.refusals import FieldViolation
    from server.jobs.attempt_plan import AttemptWish
    from server.jobs.resume_token import ResumeToken


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A Generate request.

    ``violations`` are the wrong fields that decoding found; ``paths`` gives the path of each field in the message.
    ``resume_window_seconds`` 0: the stream cannot be resumed. ``resumes``: the request holds a resume token, and where
    this server holds the job, only its request id and token count; ``resume_token`` is None where the token cannot be
    read. ``digest`` computes the SHA-256 of the request, which takes a while for a large picture. ``is_whole``: the
    request holds the picture too, so that the job can be done again here. ``attempts`` None: the clip is made once.
    """

    request_id: str
    job: Job
    resume_window_seconds: float
    resumes: bool
    resume_token: ResumeToken | None
    violations: tuple[FieldViolation, ...]
    paths: Mapping[Field, str]
    digest: Callable[[], bytes]
    attempts: AttemptWish | None = None
    is_whole: bool = True
