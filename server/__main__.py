"""``python -m server --bundle BUNDLE``: reads the settings, serves, and says in one line what was wrong with them."""

from __future__ import annotations

import logging
import os
import sys

from server.settings import SettingInvalid, Settings

_EXIT_MISCONFIGURED = 2


def main() -> int:
    """Serves until a signal comes. Returns the exit code: 0, or 2 where settings or bundle are wrong."""
    try:
        settings = Settings.load(sys.argv[1:], os.environ)
    except SettingInvalid as error:
        return _misconfigured(error)
    # Only now, so that a wrong setting is told at once.
    import asyncio

    from engine.api.errors import BundleInvalid, NoSharedMemory
    from server import lifecycle
    from server.observability.logs import configure_logging
    from server.runtime.engine_factory import engine_opener

    configure_logging(settings.log_level, settings.log_format)
    try:
        is_at_rest = asyncio.run(lifecycle.run(settings, engine_opener(settings)))
    except NoSharedMemory as error:
        return _misconfigured(f"{error}, or set --engine-process server")
    except (SettingInvalid, BundleInvalid) as error:
        return _misconfigured(error)
    if not is_at_rest:
        # A graph call still runs. Leaving Python under it would abort the process; this just ends it.
        logging.shutdown()
        os._exit(0)
    return 0


def _misconfigured(error: Exception | str) -> int:
    sys.stderr.write(f"stillcue: {' '.join(str(error).split())}\n")
    return _EXIT_MISCONFIGURED


if __name__ == "__main__":
    sys.exit(main())
