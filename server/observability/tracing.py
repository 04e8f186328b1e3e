"""Opens tracing as the settings say. The OpenTelemetry libraries are imported only where a collector is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.settings import SettingInvalid

if TYPE_CHECKING:
    from server.observability.spans import Tracing


def open_tracing(endpoint: str) -> Tracing | None:
    """Traces to a collector that speaks OTLP over gRPC; None where ``endpoint`` is empty.

    Raises ``SettingInvalid`` where the libraries are not installed.
    """
    if not endpoint:
        return None
    try:
        from server.observability.spans import export_to
    except ModuleNotFoundError as error:
        raise SettingInvalid(
            f"--otlp-endpoint {endpoint} needs {error.name}, which is not installed; pip install '.[otel]', or leave "
            "the setting empty"
        ) from None
    return export_to(endpoint)
