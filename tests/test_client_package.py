"""The wheel: its files, its public names, its requirements, and the cost of importing it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import stillcue
from stillcue import errors

REPOSITORY = Path(__file__).parents[1]
# What a user may rely on. A name that goes or changes its meaning is a breaking change.
PUBLIC_NAMES = [
    "Accepted",
    "AccessDenied",
    "AsyncClient",
    "AsyncEventStream",
    "AttemptFrames",
    "AttemptResult",
    "AttemptSupport",
    "Attempts",
    "AttemptsEnd",
    "Box",
    "Cancelled",
    "Capabilities",
    "ChainDrift",
    "ChainStop",
    "ChainSupport",
    "ClauseKind",
    "ClauseScore",
    "Client",
    "ClipMetrics",
    "CropProposal",
    "DeadlineExceeded",
    "DenoiseProgress",
    "Diagnosis",
    "DiagnosisOutcome",
    "ErrorDetails",
    "Estimate",
    "Event",
    "EventStream",
    "Expert",
    "FailedPrecondition",
    "FindingSeverity",
    "Frame",
    "FrameEncoding",
    "FrameMatch",
    "GenerateOptions",
    "Geometry",
    "Grounding",
    "InvalidRequest",
    "Limits",
    "MatchBasis",
    "MatchMode",
    "MatchRefused",
    "MatchReport",
    "MatchVerdict",
    "MemoryPlan",
    "MissingNoun",
    "Model",
    "ModelFamily",
    "OutOfMemory",
    "Overloaded",
    "PictureFinding",
    "PictureFit",
    "PictureReport",
    "Preview",
    "PromptFinding",
    "PromptReport",
    "QueueUpdate",
    "ReaderTooSlow",
    "Remedy",
    "RemedyKind",
    "ResumeFailed",
    "SamplingDefaults",
    "ScoreOptions",
    "Seam",
    "Segment",
    "SegmentResult",
    "SegmentSettings",
    "SegmentStarted",
    "ServerError",
    "Settings",
    "Stage",
    "StageMemory",
    "StageStarted",
    "StepReuse",
    "StepWork",
    "StillcueError",
    "SuccessBasis",
    "SuccessEstimate",
    "SuccessFactor",
    "Summary",
    "Symptom",
    "SymptomKind",
    "TextSpan",
    "Unavailable",
    "Unsupported",
    "VideoChunk",
    "VideoCodec",
    "VideoContainer",
    "Violation",
]
ONLY_BASE_DEPENDENCIES = """
import sys

ALLOWED = {"grpc", "grpc_status", "google", "stillcue", "typing_extensions"} | set(sys.stdlib_module_names)

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Guard())
sys.path.insert(0, sys.argv[1])
"""


def run(code: str, wheel: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-I", "-c", ONLY_BASE_DEPENDENCIES + code, str(wheel)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the tree stays clean."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(
        REPOSITORY / "clients" / "python",
        source / "clients" / "python",
        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
    )
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("*.whl")
    return path


def test_the_wheel_holds_the_client_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names} == {"stillcue", f"stillcue-{stillcue.__version__}.dist-info"}
    folder = REPOSITORY / "clients" / "python"
    expected = {
        path.relative_to(folder).as_posix()
        for path in (folder / "stillcue").rglob("*")
        if path.suffix in {".py", ".pyi", ".typed"} or path.name == "py.typed"
    }
    assert {name for name in names if name.startswith("stillcue/")} == expected


def test_the_library_needs_its_base_dependencies_only(wheel: Path) -> None:
    done = run(
        "import stillcue, stillcue.client, stillcue.aio\n"
        "client = stillcue.Client('localhost:1')\n"
        "try:\n    client.capabilities()\n"
        "except stillcue.Unavailable:\n    print(stillcue.__file__.partition('.whl')[1])\n",
        wheel,
    )
    assert (done.returncode, done.stdout) == (0, ".whl\n"), done.stderr


def test_the_command_line_says_what_to_install(wheel: Path) -> None:
    done = run("from stillcue.cli import main\nsys.exit(main(['capabilities']))", wheel)
    assert done.returncode == 1
    assert done.stderr == "stillcue: the command line needs rich; install it with: pip install 'stillcue[cli]'\n"


def test_importing_the_package_does_not_load_grpc(wheel: Path) -> None:
    done = run("import stillcue\nprint('grpc' in sys.modules, 'google' in sys.modules)", wheel)
    assert done.stdout == "False False\n", done.stderr


def test_public_names() -> None:
    assert stillcue.__all__ == PUBLIC_NAMES
    assert dir(stillcue) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(stillcue, name) is not None
    with pytest.raises(AttributeError, match="Klient"):
        stillcue.Klient  # type: ignore[attr-defined]  # noqa: B018


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert stillcue.__version__ == project["version"]


def test_the_tree_of_errors_is_the_docstrings() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"^ {4}[│├└─ ]*── (\w+)", errors.__doc__, re.MULTILINE)
    defined = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert ["StillcueError", *drawn] == defined
    assert set(defined) <= set(PUBLIC_NAMES)
