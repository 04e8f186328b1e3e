"""The number of threads follows from cores, affinity and the quotas of control groups."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import open_engine
from engine.bundle.folder import parse_manifest
from engine.host.libraries import configure_libraries
from engine.host.processors import Processors, quota_of
from engine.runtime.choice import choose_runtime
from engine.runtime.ort import OrtRuntime

ROOT = Path(__file__).parent.parent
V1 = "4:memory:/other\n3:cpu,cpuacct:{}\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "400000 100000"}, 0.5),
        ("0::/a/b\n", {"a/cpu.max": "25000 50000", "c/cpu.max": "1000 100000"}, 0.5),
        ("0::/\n", {"cpu.max": "300000 100000\n"}, 3.0),  # a container that sees its own group as the root
        ("0::/../../pod/x\n", {"cpu.max": "300000 100000"}, 3.0),  # of a namespace that is not the mount's
        ("0::/system.slice/docker-1f.scope\n", {"cpu.max": "100000 100000"}, 1.0),  # the host's path, not there
        ("0::/a\n", {"unified/a/cpu.max": "100000 100000"}, 1.0),  # version 2 beside version 1
        ("0::/a:b/c\n", {"a:b/c/cpu.max": "100000 200000"}, 0.5),
        ("0::/a\n", {"a/cpu.max": "max 100000"}, None),
        ("0::/\n", {}, None),
        ("", {"cpu.max": "100000 100000"}, None),
        ("no line\n::\n0:\n0::/\n", {"cpu.max": "100000 100000"}, 1.0),
        ("0::/\n", {"cpu.max": ""}, None),
        ("0::/\n", {"cpu.max": "100000"}, None),
        ("0::/\n", {"cpu.max": "many 100000"}, None),
        ("0::/\n", {"cpu.max": "100000 0"}, None),
        ("0::/\n", {"cpu.max": "-5 100000"}, None),
        ("0::/\n", {"cpu.max": "1e5 100000"}, None),
        ("0::/\n", {"cpu.max": "\x00\xff\n"}, None),
        (
            V1.format("/x"),
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "250000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        ("3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "50000\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 0.5),
        (V1.format("/x"), {"cpu,cpuacct/x/cpu.cfs_quota_us": "-1", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, None),
        (V1.format("/docker/1f"), {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1.0),
        (V1.format("/x"), {"cpu/x/cpu.cfs_quota_us": "100000"}, None),
        ("3:cpuset:/x\n2:cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "1", "cpu/x/cpu.cfs_period_us": "1"}, None),
        (
            "3:cpu:/x\n0::/a\n",
            {
                "cpu/x/cpu.cfs_quota_us": "300000",
                "cpu/x/cpu.cfs_period_us": "100000",
                "unified/a/cpu.max": "200000 100000",
            },
            2.0,
        ),
    ],
)
def test_the_smallest_quota_on_the_way_up_counts(
    groups: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    groups_file, mount = tmp_path / "cgroup", tmp_path / "mount"
    groups_file.write_text(groups)
    for name, content in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(content)
    assert quota_of(groups_file, mount) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert quota_of(tmp_path / "cgroup", tmp_path / "mount") is None
    (tmp_path / "cgroup").mkdir()  # a file that cannot be read
    assert quota_of(tmp_path / "cgroup", tmp_path / "mount") is None


@pytest.mark.parametrize(
    ("processors", "count", "is_limited"),
    [
        (Processors(64, 64, None), 64, False),
        (Processors(64, 64, 2.0), 2, True),
        (Processors(64, 64, 0.5), 1, True),
        (Processors(64, 64, 0.01), 1, True),
        (Processors(64, 64, 1.5), 2, True),
        (Processors(64, 4, None), 4, True),
        (Processors(64, 4, 8.0), 4, True),
        (Processors(64, 4, 3.2), 4, True),
        (Processors(2, 2, 1.5), 2, False),
        (Processors(2, 2, 64.0), 2, False),
        (Processors(1, 0, None), 1, False),
    ],
)
def test_the_smallest_of_the_three_counts(processors: Processors, count: int, is_limited: bool) -> None:
    assert (processors.count, processors.is_limited) == (count, is_limited)


def test_the_system_gives_cores_and_affinity() -> None:
    found = Processors.of_this_process()
    assert found.machine_count == os.cpu_count()
    assert found.affinity_count == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("asked", "processors", "thread_count", "told"),
    [
        (0, Processors(64, 64, 2.5), 3, "3; processors: 3 (the machine has 64, affinity allows 64, a quota of 2.5)"),
        (0, Processors(64, 5, None), 5, "5; processors: 5 (the machine has 64, affinity allows 5, no quota)"),
        (0, Processors(64, 64, None), 0, "one for each core; processors: 64 (the machine has 64, affinity allows 64"),
        (7, Processors(64, 64, 2.5), 7, "7; processors: 3 (the machine has 64, affinity allows 64, a quota of 2.5)"),
    ],
)
def test_a_session_gets_as_many_threads_as_there_are_processors(
    asked: int,
    processors: Processors,
    thread_count: int,
    told: str,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Processors, "of_this_process", lambda: processors)
    manifest = parse_manifest(tiny_bundle)
    choice = choose_runtime(manifest, "auto", asked, tmp_path)
    runtime = choice.runtime
    assert isinstance(runtime, OrtRuntime)
    graph = runtime.load(tiny_bundle, next(item for item in manifest.graphs if item.stage == "guide_and_step"))
    assert graph._loaded().get_session_options().intra_op_num_threads == thread_count
    assert choice.threads.startswith(f"threads of a graph call: {told}")


def test_the_log_tells_the_threads_once_the_bundle_is_open(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Processors, "of_this_process", lambda: Processors(64, 64, 1.5))
    caplog.set_level(logging.INFO, "engine.generate.opening")
    open_engine(tiny_bundle).close()
    told = "threads of a graph call: 2; processors: 2 (the machine has 64, affinity allows 64, a quota of 1.5)"
    device, threads = (record.getMessage() for record in caplog.records)
    assert device.startswith("the engine computes on cpu with onnxruntime")
    assert threads == told


def test_an_engine_under_an_affinity_of_one_processor_starts_no_threads_for_graphs(tiny_bundle: Path) -> None:
    """A process of its own: its threads are counted by the system."""
    program = (
        "import os; first = min(os.sched_getaffinity(0)); os.sched_setaffinity(0, {first})\n"
        "import sys, engine; from pathlib import Path\n"
        "opened = engine.open_engine(Path(sys.argv[1])); print(len(os.listdir('/proc/self/task')))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    counted = subprocess.run(
        [sys.executable, "-c", program, str(tiny_bundle)],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(counted.stdout) <= 3  # two processors would give each graph a thread of its own


@pytest.mark.parametrize(
    ("quota", "before", "after"), [(2.0, None, "2"), (0.5, None, "1"), (2.0, "7", "7"), (None, None, None)]
)
def test_blas_and_torch_get_as_many_threads(
    quota: float | None, before: str | None, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processors, "of_this_process", lambda: Processors(8, 8, quota))
    monkeypatch.setattr(os, "environ", {} if before is None else {"OMP_NUM_THREADS": before})
    configure_libraries()
    assert os.environ.get("OMP_NUM_THREADS") == after
