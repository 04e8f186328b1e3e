"""docs/first-clip.md is true: its commands run, in the order of the page, and its figures follow from the estimate."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from export.bundle.resource_estimate import ComponentEstimate, ResourceEstimate
from tests import first_clip_page
from tests.first_clip_reader import PICTURES, Reader
from tests.server_processes import ROOT

# Bytes of the official configurations in the precisions of INT4, as ``prepare_component`` counts them.
_TEXT_ENCODER = ComponentEstimate("text_encoder", "int8", 1, 6_733_275_136, 6_733_275_136)
_A14B = (
    _TEXT_ENCODER,
    ComponentEstimate("vae", "fp16", 4, 253_785_062, 253_785_062),
    ComponentEstimate("transformer", "int4", 1, 7_779_338_368, 7_779_338_368),
    ComponentEstimate("transformer_2", "int4", 1, 7_779_338_368, 7_779_338_368),
)
_5B = (
    _TEXT_ENCODER,
    ComponentEstimate("vae", "fp16", 3, 1_409_377_336, 1_409_377_336),
    ComponentEstimate("transformer", "int4", 1, 2_737_195_392, 2_737_195_392),
)


@pytest.mark.walk
def test_every_command_runs_in_the_order_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], png: Callable[..., bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("picture.png").write_bytes(png(96, 64))
    for number in range(PICTURES):
        Path(f"{number}.png").write_bytes(png(48, 48, number))
    reader = Reader(tmp_path, capsys)
    for step in first_clip_page.steps():
        reader.follow(step)
    in_order = list(dict.fromkeys(reader.done))
    assert in_order == ["hf", "export", "server", "stillcue", "python", "export.calibrate"]
    assert reader.done.count("hf") == 8
    assert reader.done.count("export") == 6


@pytest.mark.parametrize(
    ("components", "target_count", "disk", "memory"),
    [(_A14B, 1, "46.0 GB", "22.5 GB"), (_A14B, 2, "69.3 GB", "22.5 GB"), (_5B, 1, "24.7 GB", "19.7 GB")],
)
def test_disk_and_memory_follow_from_the_estimate(
    components: tuple[ComponentEstimate, ...], target_count: int, disk: str, memory: str
) -> None:
    estimate = ResourceEstimate(components, target_count)
    assert (f"{estimate.disk_bytes / 1e9:.1f} GB", f"{estimate.build_bytes / 1e9:.1f} GB") == (disk, memory)
    assert disk in first_clip_page.TEXT
    assert memory in first_clip_page.TEXT


def test_the_dry_run_prints_what_the_page_shows() -> None:
    (shown,) = (step.text for step in first_clip_page.steps() if step.kind == "text")
    assert shown.splitlines() == list(ResourceEstimate(_A14B, 1).lines())[:-1]


def test_download_times_are_sizes_over_rates() -> None:
    rows = first_clip_page.table("repository")
    assert len(rows) == 9
    for _, _, size, _, slow, fast in rows:
        for text, megabits_per_second in ((slow, 100), (fast, 1000)):
            seconds = float(size) * 8_000 / megabits_per_second
            stated = sum(int(n) * {"h": 3600, "min": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+) (\w+)", text))
            assert stated == pytest.approx(seconds, abs=30 if "min" in text else 1)


@pytest.mark.parametrize("message", [row[0] for row in first_clip_page.table("message")])
def test_messages_exist(message: str) -> None:
    """What stands between backticks is a part of a message; dots stand for values."""
    for part in re.findall("`(.+?)`", message):
        pattern = r'[^"\n]+'.join(re.escape(fixed) for fixed in part.split("…"))
        assert re.search(pattern, _literals()), part


def test_extras_and_flags_of_commands_that_are_not_run_exist() -> None:
    commands = [step.text for step in first_clip_page.steps() if step.kind == "console"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for command in commands:
        for extras in re.findall(r"\.\[([\w,]+)\]|EXTRAS=([\w,]+)", command):
            for extra in "".join(extras).split(","):
                assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (run,) = (command for command in commands if command.startswith("docker run"))
    for place in re.findall(r"-v \S+?:(/\w+)", run):
        assert place in dockerfile


@functools.cache
def _literals() -> str:
    """The text of the code, with literals that stand side by side joined."""
    folders = ("export", "engine", "server", "clients/python/stillcue")
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts))
