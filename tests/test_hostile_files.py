"""2,000 mutated and hostile files: each is read or refused in a sentence, in bounded memory, and none runs code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints import TinyModel, write_checkpoint
from tests.hostile_files import COUNTS, MIB


@pytest.mark.walk
def test_hostile_files_are_read_or_refused_in_bounded_memory(tmp_path: Path) -> None:
    write_checkpoint(
        tmp_path / "checkpoint", TinyModel(head_count=1, head_size=128, ffn_size=32, layer_count=1), scorer=True
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile_files", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "Traceback" not in done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["faults"] == []
    assert outcome["judged"] == COUNTS
    assert sum(COUNTS.values()) == 2_000
    refused = outcome["refused"]
    assert all(count // 3 < refused[kind] < count for kind, count in COUNTS.items()), refused
    assert outcome["grown_bytes"] < 256 * MIB, outcome
    assert outcome["slowest_seconds"] < 10, outcome["slowest"]  # a hang, not a figure
    assert not (tmp_path / "ran").exists()
