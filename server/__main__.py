"""``python -m server --bundle BUNDLE``: serves a bundle. A wrong setting ends the start with one line on stderr."""

from __future__ import annotations

import logging
import os
import sys

from server.settings import SettingInvalid, Settings

_EXIT_FAILED = 1
_EXIT_MISCONFIGURED = 2


def main() -> int:
    """Serves until SIGTERM or SIGINT.

    Returns the exit code: 0, 2 where settings or bundle are wrong, or 1 where the device fails as the bundle is opened.
    """
    try:
        settings = Settings.load(sys.argv[1:], os.environ)
    except SettingInvalid as error:
        return _misconfigured(error)
    # Imported here, so that a wrong setting is reported at once.
    from engine.api.errors import BundleInvalid, DeviceLost, NoSharedMemory, OutOfMemory
    from server.lifecycle.addresses import check_addresses
    from server.lifecycle.engine_factory import launch_engine
    from server.observability.logs import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    try:
        check_addresses(settings)
        open_engine = launch_engine(settings)

        # Imported while the engine opens.
        import asyncio

        from server.lifecycle.run import run

        is_at_rest = asyncio.run(run(settings, open_engine))
    except NoSharedMemory as error:
        return _misconfigured(f"{error}, or set --engine-process server")
    except (SettingInvalid, BundleInvalid) as error:
        return _misconfigured(error)
    except DeviceLost as error:
        return _failed(f"the GPU failed as the bundle was opened: {error.cause}; see `nvidia-smi` and `dmesg`")
    except OutOfMemory as error:
        return _failed(f"the bundle was not opened: {error}, or set --memory-budget-bytes")
    if not is_at_rest:
        # A graph call still runs. A normal exit of Python would abort the process; os._exit just ends it.
        logging.shutdown()
        os._exit(0)
    return 0


def _misconfigured(error: Exception | str) -> int:
    _tell(error)
    return _EXIT_MISCONFIGURED


def _failed(text: str) -> int:
    _tell(text)
    return _EXIT_FAILED


def _tell(error: Exception | str) -> None:
    sys.stderr.write(f"stillcue: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    sys.exit(main())
