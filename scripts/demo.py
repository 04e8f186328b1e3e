"""``make demo``: starts a server, generates one clip with the command-line client, and stops the server.

Prints each command, so that a user can type the same. If the bundle is missing, a checkpoint of random weights is
exported first, with a message.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PICTURE = Path("scripts/demo-picture.png")
_SENTENCE = "A red car slowly rolls to the right, the scene gets darker."
_RANDOM_OPTIONS = shlex.split(
    "--size 64x64 --frames 17 --steps 8 --frame-rate 4 --name random "
    "--notice 'The weights are random: clips are noise.'"
)
_START_SECONDS = 60


def main() -> int:
    """Generates the clip; returns the client's exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--prepare-only", action="store_true", help="make the bundle if it is missing, then stop")
    options = parser.parse_args()
    if not (options.bundle / "bundle.json").is_file():
        _say(f"there is no bundle at {options.bundle}: exporting random weights, whose clips are noise")
        _export_random(options.bundle)
    if options.prepare_only:
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    with _server(options.bundle) as address:
        command = ["-m", "stillcue.cli", "generate", str(_PICTURE), _SENTENCE, "--server", address]
        for flag, name in (("--output", "demo.mp4"), ("--sheet", "demo.png"), ("--json", "demo.json")):
            command += [flag, str(options.out / name)]
        _say("stillcue " + shlex.join(command[2:]))
        status = subprocess.run([sys.executable, *command], cwd=_ROOT, check=False).returncode
    if status == 0:
        _say(f"wrote {options.out / 'demo.mp4'}, its contact sheet demo.png and its summary demo.json")
    return status


def _export_random(bundle: Path) -> None:
    """Writes a checkpoint of the test fixtures beside the bundle and exports it."""
    checkpoint = bundle.parent / "checkpoint"
    for command in (
        ["-m", "tests.checkpoints", str(checkpoint)],
        ["-m", "export", str(checkpoint), "--out", str(bundle), *_RANDOM_OPTIONS],
    ):
        subprocess.run([sys.executable, *command], cwd=_ROOT, check=True)


@contextmanager
def _server(bundle: Path) -> Iterator[str]:
    """Starts a server on free ports, gives its gRPC address, and drains and stops it after the block."""
    command = ["-m", "server", "--bundle", str(bundle), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    _say("python " + shlex.join(command))
    with subprocess.Popen(
        [sys.executable, *command, "--log-level", "warning"], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _ready_address(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=_START_SECONDS)
            _say(f"the server stopped with status {process.returncode}")


def _ready_address(process: subprocess.Popen[str]) -> str:
    """Waits for the line ``stillcue ready grpc=HOST:PORT metrics=HOST:PORT`` and returns the gRPC address."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    _say(line or "the server ended without a ready line")
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    if "grpc" not in words:
        raise SystemExit("the server did not start; see its error message above")
    return words["grpc"]


def _say(line: str) -> None:
    sys.stdout.write(f"demo: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
