"""Keeps model libraries from talking over the export. Knows their ways of talking; hides no error."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

_TALKERS = ("torch.onnx", "onnxscript", "onnx_ir", "transformers", "diffusers")


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silences deprecations of libraries among themselves, progress bars and remarks about packages not installed."""
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def hide_progress_bars() -> None:
    """Switches off the bars that the model libraries draw while they load weights."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
