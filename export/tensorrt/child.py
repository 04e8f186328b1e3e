"""``python -m export.tensorrt.child REQUEST ANSWER``: compiles one plan and ends. Knows processes; knows no compiler.

When memory runs out this process is the one to be killed, not the exporter, and it never outlives the exporter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
from pathlib import Path

from export.errors import ExportError
from export.tensorrt.build import build
from export.tensorrt.request import BuildAnswer, BuildRequest

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Reads the request, writes the answer. A refusal is an answer too."""
    request_file, answer_file = map(Path, arguments)
    _bind_to_parent()
    request = BuildRequest.model_validate_json(request_file.read_bytes())
    try:
        answer = build(request)
    except ExportError as error:
        answer = BuildAnswer(error=str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        answer = BuildAnswer(error=f"{request.plan_file}: {error.strerror}; free some of that disk")
    answer_file.write_text(answer.model_dump_json(), encoding="utf-8")
    return 0


def _bind_to_parent() -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)  # libraries of a driver that is not there may crash while they are unloaded
