"""Silences log lines, warnings and progress bars of the model libraries. Errors still come through."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

_LOGGER_NAMES = ("torch.onnx", "onnxscript", "onnx_ir", "transformers", "diffusers")


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides warnings, log lines below ERROR and standard output of the libraries that are called inside."""
    loggers = [logging.getLogger(name) for name in _LOGGER_NAMES]
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
    """Switches off the progress bars that Diffusers and Transformers draw while they load weights."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
