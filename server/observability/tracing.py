"""What happens to one job, told as spans. These classes tell nobody, which is the default; ``otel`` exports.

Knows jobs' stages; knows no metrics and no exporter. A span never holds a prompt, a picture or a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.settings import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.api.events import Event


class JobTrace:
    """One job: a span for the call, one for the wait and one for each stage."""

    def work_started(self) -> None:
        """The engine is the job's."""

    def event(self, event: Event) -> None:
        """The engine reported something."""

    def note(self, what: str) -> None:
        """Something that takes no time."""

    def work_ended(self) -> None:
        """The engine is done with the job."""

    def job_ended(self, outcome: str, is_fault: bool) -> None:
        """The caller was told how the job ended; ``is_fault``: by the server's doing."""


class Tracing:
    """Traces of a server."""

    def job(
        self,
        metadata: Sequence[tuple[str, str | bytes]],  # noqa: ARG002
        request_id: str,  # noqa: ARG002
        seconds_since_arrival: float,  # noqa: ARG002
    ) -> JobTrace:
        """A job got its place; ``metadata`` of its call may say which trace it belongs to."""
        return JobTrace()

    def close(self) -> None:
        """Exports what is left; blocks for seconds at most."""


NO_TRACING = Tracing()


def open_tracing(endpoint: str) -> Tracing:
    """Traces to a collector that speaks OTLP over gRPC; to nobody where ``endpoint`` is empty.

    Raises ``SettingInvalid`` where the libraries are not installed.
    """
    if not endpoint:
        return NO_TRACING
    try:
        from server.observability.otel import export_to
    except ModuleNotFoundError as error:
        raise SettingInvalid(
            f"--otlp-endpoint {endpoint} needs {error.name}, which is not installed; pip install '.[otel]', or leave "
            "the setting empty"
        ) from None
    return export_to(endpoint)
