"""The pack's front-end extension, run by node on a graph that stands for ComfyUI's (``front_end/``)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from scripts.comfyui.definitions import PACK

_FAKES = Path(__file__).with_name("front_end")


def test_the_extension_follows_servers_and_shows_reports(tmp_path: Path) -> None:
    shutil.copytree(_FAKES, tmp_path, dirs_exist_ok=True)
    shutil.copytree(PACK / "web", tmp_path / "extensions" / "stillcue")
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}), encoding="utf-8")
    node = shutil.which("node")
    assert node is not None, "node is needed: Debian's package nodejs, or the one that npm came with"
    command = [node, "--test", "--test-reporter=tap", "extension.test.mjs"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^# pass [1-9]", result.stdout, re.MULTILINE)
