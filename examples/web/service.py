"""A web service before a Stillcue server: an upload becomes a clip that the browser plays while it is being made.

    STILLCUE_SERVER=localhost:50051 uvicorn --factory examples.web.service:create_app

| call | body | answer |
|---|---|---|
| ``GET /`` | | the page |
| ``POST /match`` | form: ``picture``, ``sentence`` | JSON: score, verdict, advice, rewritten sentence |
| ``POST /clips`` | form: ``picture``, ``sentence`` | lines of JSON, as things happen: progress, chunks of an MP4 file |

Errors are JSON problem details (RFC 9457); one that comes after the first line of a clip is its last line. Any number
of users share one connection; the Stillcue server puts their jobs in its queue. A browser that leaves ends its job.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

import stillcue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_PICTURE_BYTES = 8 * 1024 * 1024
MAX_BODY_BYTES = MAX_PICTURE_BYTES + 64 * 1024  # the sentence, and the lines between the parts of the form
MATCH_SECONDS = 30.0
CLIP_SECONDS = 3600.0
PROBLEM = "application/problem+json"
FORM_FIELDS = {"image": "picture", "image.data": "picture", "prompt": "sentence"}
LOG = logging.getLogger("examples.web")

# Status and title for each kind of error. Its message goes to the user only if the last value is True: other messages
# speak of this service's own servers, and stay in the log.
ANSWERS: tuple[tuple[type[stillcue.StillcueError], int, str, bool], ...] = (
    (stillcue.InvalidRequest, 422, "The picture or the sentence cannot be used", True),
    (stillcue.MatchRefused, 422, "Picture and sentence do not match", True),
    (stillcue.FailedPrecondition, 501, "This service cannot do that", False),
    (stillcue.Overloaded, 503, "All servers are busy", False),
    (stillcue.DeadlineExceeded, 504, "The clip would take too long", False),
    (stillcue.Unavailable, 503, "No server can be reached", False),
    (stillcue.StillcueError, 502, "The clip could not be made", False),
)


def create_app() -> FastAPI:
    """Returns the application; the environment says which server it calls, and with which token."""
    target = os.environ.get("STILLCUE_SERVER", "localhost:50051")
    token = os.environ.get("STILLCUE_TOKEN") or None

    @asynccontextmanager
    async def connected(app: FastAPI) -> AsyncIterator[None]:
        async with stillcue.AsyncClient(target, token=token) as client:
            app.state.client = client
            yield

    app = FastAPI(title="Stillcue example", lifespan=connected, openapi_url=None)
    app.add_middleware(BodyLimit)
    app.add_exception_handler(stillcue.StillcueError, on_stillcue_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_form_error)
    app.get("/")(page)
    app.post("/match")(score)
    app.post("/clips")(make_clip)
    return app


async def page() -> FileResponse:
    """The page of the browser."""
    return FileResponse(Path(__file__).with_name("page.html"))


async def score(request: Request, picture: UploadFile, sentence: Annotated[str, Form()]) -> dict[str, Any]:
    """The match of picture and sentence, with suggestions."""
    client: stillcue.AsyncClient = request.app.state.client
    report = await client.score_match(await read_picture(picture), sentence, timeout_seconds=MATCH_SECONDS)
    prompt, view = report.prompt_report, report.picture_report
    findings = [(item.message, item.suggestion) for item in prompt.findings] if prompt else []
    findings += [(item.message, item.suggestion) for item in view.findings] if view else []
    return {
        "score": report.score,
        "verdict": report.verdict,
        "advice": [f"{message} {suggestion}".strip() for message, suggestion in findings],
        "rewritten_sentence": prompt.rewritten_prompt if prompt else None,
    }


async def make_clip(request: Request, picture: UploadFile, sentence: Annotated[str, Form()]) -> StreamingResponse:
    """The clip and its progress. The answer begins when the server has accepted the job; a refusal is a plain error."""
    client: stillcue.AsyncClient = request.app.state.client
    stream = client.generate(
        await read_picture(picture),
        sentence,
        video_container=stillcue.VideoContainer.FRAGMENTED_MP4,
        omit_frames=True,
        timeout_seconds=CLIP_SECONDS,
    )
    return ClipResponse(stream, await anext(stream))


class ClipResponse(StreamingResponse):
    """The events of a stream as lines of JSON. Whatever ends the response also ends the job."""

    def __init__(self, stream: stillcue.AsyncEventStream, first: stillcue.Event) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # proxies pass each line on at once
        super().__init__(self._lines(first), media_type="application/x-ndjson", headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the lines until the stream ends or the browser leaves."""
        async with self._stream:
            await super().__call__(scope, receive, send)

    async def _lines(self, first: stillcue.Event) -> AsyncIterator[str]:
        yield line_of(first)
        try:
            async for event in self._stream:
                yield line_of(event)
        except stillcue.StillcueError as error:
            yield json.dumps({"event": "problem", **problem_of(error)}) + "\n"


def line_of(event: stillcue.Event) -> str:
    """An event as a line of JSON; empty for events that the page does not show."""
    match event:
        case stillcue.Accepted(request_id=job, settings=settings):
            shown = {"event": "accepted", "job": job, "seed": settings.seed, "frame_count": settings.frame_count}
        case stillcue.QueueUpdate(position=position):
            shown = {"event": "queue", "position": position}
        case stillcue.DenoiseProgress(completed_step_count=completed, step_count=count):
            shown = {"event": "step", "completed": completed, "count": count}
        case stillcue.VideoChunk(data=data, frame_count=count, media_type=media_type):
            text = base64.b64encode(data).decode()
            shown = {"event": "video", "frame_count": count, "media_type": media_type, "data": text}
        case stillcue.Summary(settings=settings, work_seconds=seconds):
            shown = {"event": "done", "seed": settings.seed, "work_seconds": seconds}
        case _:
            return ""
    return json.dumps(shown) + "\n"


async def read_picture(picture: UploadFile) -> bytes:
    """The bytes of an upload. Raises ``HTTPException`` if there are too many."""
    data = await picture.read(MAX_PICTURE_BYTES + 1)
    if len(data) > MAX_PICTURE_BYTES:
        raise too_large()
    return data


def too_large() -> HTTPException:
    """The error of an upload above the limit."""
    return HTTPException(413, f"The picture is larger than {MAX_PICTURE_BYTES // 1024**2} MiB; send a smaller file.")


class BodyLimit:
    """Ends the reading of a request's body at ``MAX_BODY_BYTES``, whatever length the request states."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise too_large()
            return message

        await self._app(scope, limited, send)


def problem(status: int, title: str, detail: str = "", **more: Any) -> dict[str, Any]:
    """Problem details (RFC 9457)."""
    return {"type": "about:blank", "title": title, "status": status, **({"detail": detail} if detail else {}), **more}


def problem_of(error: stillcue.StillcueError) -> dict[str, Any]:
    """The message about an error for the user. The details are logged, with the request id of the job."""
    _, status, title, is_told = next(row for row in ANSWERS if isinstance(error, row[0]))
    if status >= 500:
        LOG.warning("%s %s, request %s: %s", error.status, error.reason or "", error.request_id, error)
    more: dict[str, Any] = {"request_id": error.request_id} if error.request_id else {}
    if error.violations:
        more["violations"] = [
            {"field": FORM_FIELDS.get(item.field, item.field), "detail": item.description} for item in error.violations
        ]
    if error.retry_after_seconds is not None:
        more["retry_after_seconds"] = error.retry_after_seconds
    return problem(status, title, str(error) if is_told else "", **more)


def answer(content: dict[str, Any]) -> JSONResponse:
    """A response with problem details."""
    seconds = content.get("retry_after_seconds")
    headers = {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}
    return JSONResponse(content, content["status"], headers, PROBLEM)


async def on_stillcue_error(_: Request, error: Exception) -> JSONResponse:
    """A call to the server failed before the answer began."""
    assert isinstance(error, stillcue.StillcueError)
    return answer(problem_of(error))


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """The web framework refuses the request."""
    assert isinstance(error, HTTPException)
    return answer(problem(error.status_code, error.detail))


async def on_form_error(_: Request, error: Exception) -> JSONResponse:
    """A field of the form is missing or of the wrong kind."""
    assert isinstance(error, RequestValidationError)
    violations = [{"field": str(item["loc"][-1]), "detail": item["msg"]} for item in error.errors()]
    return answer(problem(422, "The form is not complete", violations=violations))
