"""An error of a call as a message for people: what is wrong, in which input, and what to do.

The command line and other programs name their own inputs and remedies; headings and order are the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stillcue.errors import (
    AccessDenied,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    MatchRefused,
    OutOfMemory,
    Overloaded,
    ReaderTooSlow,
    ResumeFailed,
    ServerError,
    StillcueError,
    Unavailable,
    Unsupported,
)
from stillcue.report_text import missing_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stillcue.match import MatchReport

HEADING_BY_ERROR: dict[type[StillcueError], str] = {
    InvalidRequest: "the request is wrong",
    FailedPrecondition: "this server cannot do that",
    MatchRefused: "not generated",
    AccessDenied: "access denied",
    Overloaded: "the server has no room now",
    OutOfMemory: "the job is too large",
    DeadlineExceeded: "out of time",
    ReaderTooSlow: "frames came faster than they could be written",
    Cancelled: "the server cancelled the call",
    ResumeFailed: "the connection broke",
    Unavailable: "no answer from the server",
    Unsupported: "the server does not know this call",
    ServerError: "the server failed",
}


def describe_error(
    error: StillcueError,
    *,
    server: str,
    input_by_field: Mapping[str, str],
    remedy_by_error: Mapping[type[StillcueError], str],
) -> str:
    """Returns a message of a few lines.

    ``input_by_field`` maps paths of the request to the names of the program's inputs; ``{}`` stands for the index of a
    segment. ``remedy_by_error`` has a line for kinds of errors, in which ``{server}`` stands for the address
    ``server``.
    """
    kind = next(kind for kind in type(error).__mro__ if kind in HEADING_BY_ERROR)
    if error.violations:
        wrong = (f"  {_input_name(item.field, input_by_field)} {item.description}" for item in error.violations)
        lines = [f"{HEADING_BY_ERROR[kind]}:", *wrong]
    else:
        lines = [f"{HEADING_BY_ERROR[kind]}: {error.message}"]
    if isinstance(error, MatchRefused) and error.report is not None:
        lines += [f"  {line}" for line in _describe_refused_match(error.report)]
    if error.retry_after_seconds is not None:
        lines.append(f"  try again in {error.retry_after_seconds:g} s")
    elif kind in remedy_by_error:
        lines.append(f"  {remedy_by_error[kind].format(server=server)}")
    if error.request_id is not None:
        lines.append(f"  request id: {error.request_id}")
    return "\n".join(lines)


def _input_name(field: str, input_by_field: Mapping[str, str]) -> str:
    index = re.search(r"\[(\d+)\]", field)
    if index is None:
        return input_by_field.get(field, field)
    name = input_by_field.get(field.replace(index[0], "[{}]"))
    return field if name is None else f"{name} (segment {int(index[1]) + 1})"


def _describe_refused_match(report: MatchReport) -> Iterator[str]:
    """Yields lines: clauses that do not match, nouns missing in the picture, and the rewritten prompt."""
    for clause in report.clauses:
        if clause.gated_probability is not None and clause.gated_probability < 0.5:
            yield f"{clause.kind.value} “{clause.text}” fits with {100 * clause.gated_probability:.0f} %"
    if report.missing_nouns:
        yield f"not in the picture: {missing_words(report)}"
    if report.prompt_report is not None and report.prompt_report.rewritten_prompt is not None:
        yield f"better: {report.prompt_report.rewritten_prompt}"
