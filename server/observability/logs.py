"""The log: one line per event on stderr, as JSON or text. Holds no prompt, picture or token.

Every line of a call carries the request id of the call.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; ``extra={"fields": {...}}`` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, with time (UTC), level, logger, message, request id, fields and exception."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Writes a record as text: time, level, logger, message, then each field as ``name=JSON``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the lines of an exception below it."""
        fields = (
            f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in _fields(record).items()
        )
        message = " ".join(record.getMessage().splitlines())
        line = " ".join([_time(record), record.levelname.lower(), record.name, message, *fields])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(level: str, log_format: str) -> None:
    """Logs records of ``level`` and above to stderr; ``log_format`` is ``json`` or ``text``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    request_id = current_request_id.get()
    fields: dict[str, object] = {"request_id": request_id} if request_id else {}
    return fields | getattr(record, "fields", {})
