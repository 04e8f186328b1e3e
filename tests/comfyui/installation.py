"""The ComfyUI of this machine: a checkout named by ``COMFYUI``, and the Python that has its requirements.

    make comfyui COMFYUI=~/ComfyUI

ComfyUI is no dependency of this project: tests marked ``comfyui`` are the only ones that need it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_CLIENT = "stillcue.client"  # imports grpc, which ``stillcue`` alone does not
_SITE = _ROOT / "build" / "comfyui"
"""Where ``make comfyui`` installs what the wheel needs, so that ComfyUI's own environment stays as it is."""


class InstallationError(Exception):
    """There is no ComfyUI that the tests can start; the message says what to give."""


@dataclass(frozen=True)
class Installation:
    """A checkout of ComfyUI and the interpreter that runs it."""

    folder: Path
    python: Path

    @staticmethod
    def from_environment() -> Installation:
        """Returns the installation of ``COMFYUI`` and ``COMFYUI_PYTHON``. Raises ``InstallationError``."""
        named = os.environ.get("COMFYUI", "")
        if not named:
            raise InstallationError("COMFYUI is not set: make comfyui COMFYUI=folder, a checkout of ComfyUI")
        folder = Path(named).expanduser().resolve()
        if not (folder / "main.py").is_file() or not (folder / "comfyui_version.py").is_file():
            raise InstallationError(
                f"COMFYUI={named} is no checkout of ComfyUI: it has no main.py and comfyui_version.py"
            )
        return Installation(folder, _python(folder))

    @property
    def python_path(self) -> str:
        """The value of ``PYTHONPATH`` with which ComfyUI's Python imports ``stillcue``."""
        return os.pathsep.join(str(folder) for folder in (_ROOT / "clients" / "python", _SITE))

    def check(self) -> None:
        """Raises ``InstallationError`` if the interpreter cannot import what ComfyUI and the pack need."""
        requirements = f"{self.python} -m pip install -r {self.folder / 'requirements.txt'}"
        for module in ("torch", "comfyui_frontend_package"):
            if error := self._import_error(module):
                raise InstallationError(f"{self.python} cannot import {module} ({error}): {requirements}")
        if error := self._import_error(_CLIENT):
            raise InstallationError(
                f"{self.python} cannot import {_CLIENT} ({error}): python -m tests.comfyui.installation"
            )

    def install_requirements(self) -> None:
        """Installs what the wheel needs for this interpreter, unless the client can be imported already."""
        if self._import_error(_CLIENT):
            with (_ROOT / "pyproject.toml").open("rb") as file:
                requirements = tomllib.load(file)["project"]["dependencies"]
            command = [str(self.python), "-m", "pip", "install", "--quiet", "--target", str(_SITE), *requirements]
            subprocess.run(command, check=True)

    def _import_error(self, module: str) -> str:
        environment = {**os.environ, "PYTHONPATH": self.python_path}
        command = [str(self.python), "-c", f"import {module}"]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return answer.stderr.strip().rpartition("\n")[2] if answer.returncode else ""


def _python(folder: Path) -> Path:
    named = os.environ.get("COMFYUI_PYTHON", "")
    if named:
        python = Path(named).expanduser().absolute()
        if not python.is_file():
            raise InstallationError(f"COMFYUI_PYTHON={named} is no file: give the Python that runs ComfyUI")
        return python
    for environment in ("venv", ".venv"):
        python = folder / environment / "bin" / "python"
        if python.is_file():
            return python
    return Path(sys.executable)


def main() -> None:
    """Prepares the installation for the tests. Raises ``SystemExit`` with what is missing."""
    try:
        installation = Installation.from_environment()
        installation.install_requirements()
        installation.check()
    except (InstallationError, subprocess.CalledProcessError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
