"""Bundles, each exported once a run, the scripted server, what promises reached, and skips that fail in CI."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image as Pillow

from tests import bundle_order, no_skips, operators_once

if TYPE_CHECKING:
    import stillcue
    from engine.api.capabilities import Geometry
    from tests.fake_cuda import FakeCuda
    from tests.recorded_engine import RecordedEngine
    from tests.scripted_server import ScriptedServer

# Torch's threads spin while they wait for each other; beside other tests they cost many times what they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests call this machine only, with channels of their own that would ask a proxy.
for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[variable]

import engine  # noqa: E402, F401  sets what else libraries read as they are imported


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", type=Path, help="file to which tests of promises add what they reached")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(no_skips)
    config.pluginmanager.register(bundle_order)
    config.pluginmanager.register(operators_once)


@pytest.fixture
def promise(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Records what a test reached: ``promise("overload", "90 of 90 refused")``; see ``scripts.promises``."""
    from scripts.promises import PROMISES

    test = f"{request.path.name}::{request.function.__name__}"
    file: Path | None = request.config.getoption("--reliability")

    def record(name: str, figure: str) -> None:
        (found,) = (promise for promise in PROMISES if promise.name == name)
        assert test in found.tests, f"{test} is not among the tests of {name} in scripts/promises.py"
        if file is not None:
            with FileLock(f"{file}.lock"), file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([test, figure], ensure_ascii=False) + "\n")

    return record


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Makes PNG files of coloured noise: ``png(width, height, seed=0)``."""

    def make(width_px: int, height_px: int, seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Pillow.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers what the test scripts."""
    from tests.scripted_server import ScriptedServer, serving

    with serving(ScriptedServer()) as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[stillcue.Client]:
    """A client of the scripted server."""
    import stillcue

    with stillcue.Client(server.target) as connected:
        yield connected


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> Path:
    """The current folder, with a picture in it; the scripted server is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLCUE_SERVER", server.target)
    Pillow.new("RGB", (60, 40), (10, 120, 200)).save("boat.png")
    return tmp_path


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random weights, A14B shape, with a scorer: 64x48, 9 frames and 48x48, 9 frames."""
    from engine.api.capabilities import Geometry

    return _shared_bundle(tmp_path_factory, "tiny", (Geometry(64, 48, 9), Geometry(48, 48, 9)), is_5b=False)


@pytest.fixture(scope="session")
def tiny_5b_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random weights, 5B shape, without a scorer: 64x32, 5 frames."""
    from engine.api.capabilities import Geometry

    return _shared_bundle(tmp_path_factory, "tiny_5b", (Geometry(64, 32, 5),), is_5b=True)


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A GPU in host memory, which the engine finds in place of CUDA's."""
    from engine.runtime.cuda import cudart
    from tests.fake_cuda import FakeCuda
    from tests.planned_bundles import install_fake_gpu

    fake = FakeCuda()
    install_fake_gpu(fake, monkeypatch)
    yield fake
    cudart.cache_clear()


@pytest.fixture
def planned_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle with a TensorRT plan for each graph."""
    from tests.planned_bundles import add_plans

    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    add_plans(folder)
    return folder


@pytest.fixture
def recorded(tiny_bundle: Path, png: Callable[..., bytes]) -> RecordedEngine:
    """An engine of the tiny bundle whose graph calls are recorded."""
    from tests.recorded_engine import RecordedEngine

    return RecordedEngine(tiny_bundle, png(80, 50))


def _shared_bundle(
    factory: pytest.TempPathFactory, name: str, geometries: tuple[Geometry, ...], *, is_5b: bool
) -> Path:
    """Returns a bundle shared by all processes of a parallel run; the first process exports it."""
    from tests.checkpoints import TinyModel
    from tests.exporting import export_tiny

    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "bundle" / "bundle.json").is_file():
            export_tiny(folder, TinyModel(is_5b=is_5b), geometries, scorer=not is_5b)
    return folder / "bundle"
