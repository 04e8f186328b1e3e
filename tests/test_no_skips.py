"""A skip is a failure in CI, and CI installs what tests need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import no_skips

ROOT = Path(__file__).parent.parent
SKIPS = {
    "in_a_test": "def test_it():\n    pytest.skip({reason!r})\n",
    "in_a_fixture": "@pytest.fixture\ndef program():\n    pytest.skip({reason!r})\n\ndef test_it(program):\n    pass\n",
    "by_a_mark": "@pytest.mark.skipif(True, reason={reason!r})\ndef test_it():\n    pass\n",
    "of_a_library": "def test_it():\n    pytest.importorskip('no_such_library', reason={reason!r})\n",
    "of_a_module": "pytest.skip({reason!r}, allow_module_level=True)\n",
}
EXPECTED_FAILURE = "@pytest.mark.xfail\ndef test_it():\n    raise AssertionError\n"


def reason_of(name: str) -> str:
    return f"what {name} needs is not installed"


def run_pytest(folder: Path, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a module for each kind of skip, and one with an expected failure."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for name, text in {**SKIPS, "expected_failure": EXPECTED_FAILURE}.items():
        module = "import pytest\n\n" + text.format(reason=reason_of(name))
        (folder / f"test_{name}.py").write_text(module, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "STILLCUE_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-p", "no:cacheprovider", "-rA", *flags],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_skips_fail_where_the_variable_is_set(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "--continue-on-collection-errors", **{no_skips.VARIABLE: "1"})
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    for name in SKIPS:
        assert f"test_{name}.py" in run.stdout
        assert f"{no_skips.VARIABLE} is set. Skipped: {reason_of(name)}" in run.stdout
    assert "2 failed, 1 xfailed, 3 errors in" in run.stdout


def test_a_skip_fails_in_a_parallel_run_too(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "-p", "xdist", "-n", "1", "test_in_a_test.py", **{no_skips.VARIABLE: "1"})
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    assert reason_of("in_a_test") in run.stdout


def test_skips_are_skips_where_the_variable_is_not_set(tmp_path: Path) -> None:
    run = run_pytest(tmp_path)
    assert run.returncode == pytest.ExitCode.OK, run.stdout
    assert "5 skipped, 1 xfailed in" in run.stdout


def test_the_plugin_is_at_work_here_and_ci_sets_its_variable(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.is_registered(no_skips)
    assert f"{no_skips.VARIABLE}=1" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
