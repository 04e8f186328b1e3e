"""``python -m export.tensorrt.child REQUEST ANSWER``: compiles one engine and exits.

The process offers itself first to the out-of-memory killer, and is killed when the exporter ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engine.host.parent import end_with_parent
from export.atomic_file import is_disk_full
from export.errors import ExportError
from export.tensorrt.build import build
from export.tensorrt.request import BuildAnswer, BuildRequest

_KILL_PREFERENCE = 1000  # out of memory the kernel kills this process before the exporter


def main(arguments: list[str]) -> int:
    """Reads the request file and writes the answer file, also for a graph that is refused. Returns the exit status."""
    request_file, answer_file = map(Path, arguments)
    end_with_parent(_KILL_PREFERENCE)
    request = BuildRequest.model_validate_json(request_file.read_bytes())
    try:
        answer = build(request)
    except ExportError as error:
        answer = BuildAnswer(error=str(error))
    except OSError as error:
        if not is_disk_full(error):
            raise
        answer = BuildAnswer(error=f"{request.engine_file}: {error.strerror}; free space on that disk")
    answer_file.write_text(answer.model_dump_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)  # without a driver, its libraries may crash while they are unloaded
