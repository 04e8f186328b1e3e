"""What importing the engine's facade, its contract and the server loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_HEAVY = ("numpy", "PIL", "onnxruntime", "tokenizers", "ftfy", "torch")
_CONTRACT = "; ".join(f"import engine.api.{file.stem}" for file in sorted((_ROOT / "engine" / "api").glob("[a-z]*.py")))


@pytest.mark.parametrize("imports", ["import engine", _CONTRACT, "import server.lifecycle.run, server.__main__"])
def test_an_import_loads_no_model_library(imports: str) -> None:
    code = f"import sys; {imports}; print(*[name for name in {_HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    assert not loaded.split()
