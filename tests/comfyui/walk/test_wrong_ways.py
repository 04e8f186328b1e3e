"""What a person sees when something is wrong: a sentence that says what to do, and a queue that goes on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.comfyui.serving_process import POCKET, ServingProcess, serving
from tests.comfyui.walk.conftest import DEMO_PICTURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.comfyui.comfy import Comfy
    from tests.comfyui.walk.tab import Tab

SENTENCE = "A red car slowly rolls to the right, the scene gets darker."
GENERATE = "StillcueGenerateVideo"


def test_a_server_that_is_away(new_pocket_tab: Callable[..., Tab]) -> None:
    tab = new_pocket_tab()
    tab.set_widget("StillcueServer", "address", "127.0.0.1:9")
    # Before, the node may tell the same of the address that the template has.
    assert "Start it" in tab.wait_for_sentence("is it running at 127.0.0.1:9?")
    tab.run()
    error = tab.error()
    assert "no answer from the server" in error
    assert "is it running at 127.0.0.1:9? Start it, or correct the address in the Stillcue Server node" in error
    tab.screenshot("wrong-server-away")


def test_a_sentence_that_does_not_match(new_pocket_tab: Callable[..., Tab], pocket: ServingProcess) -> None:
    tab = new_pocket_tab()
    jobs = pocket.sample('jobs_total{outcome="completed"}')
    tab.text_box(SENTENCE).fill("A white cat slowly walks to the left.")
    tab.run()
    error = tab.error()
    assert "the match score is 0.0, below the minimum_score of 40; no clip was made" in error
    assert "Name what the picture shows" in error
    tab.screenshot("wrong-sentence")
    assert pocket.sample('jobs_total{outcome="completed"}') == jobs


def test_a_picture_that_is_too_large(new_pocket_tab: Callable[..., Tab], tmp_path: Path) -> None:
    tab = new_pocket_tab()
    tab.upload(picture_file(tmp_path / "large.png", 8000, 6300))
    tab.set_widget("StillcuePreparePicture", "large_pictures", "refuse")
    tab.run()
    error = tab.error()
    assert "the picture is too large: 8000x6300 px" in error
    assert "this server takes up to 50 million pixels" in error
    assert "Set large_pictures to “shrink”" in error
    tab.screenshot("wrong-picture-too-large")

    tab.close_dialog()
    tab.set_widget("StillcuePreparePicture", "large_pictures", "shrink")
    tab.run()
    tab.video()


def test_cancel_half_way(new_pocket_tab: Callable[..., Tab], comfy: Comfy, pocket: ServingProcess) -> None:
    tab = new_pocket_tab()
    cancelled = pocket.sample('jobs_total{outcome="cancelled"}')
    tab.set_widget(GENERATE, "steps", 100)
    tab.set_widget(GENERATE, "seed", 1)
    tab.look_at("StillcueMatchScore", GENERATE)
    tab.run()
    tab.wait_for_progress(GENERATE, 0.05)
    tab.cancel()
    pocket.reaches('jobs_total{outcome="cancelled"}', cancelled + 1)
    pocket.reaches("running_jobs", 0)
    tab.wait_for_sentence("cancelled: the server's job has ended")
    tab.wait_until_idle()
    tab.screenshot("wrong-cancelled")
    assert tab.dialogs() == []
    assert comfy.queue() == ([], [])

    tab.set_widget(GENERATE, "steps", 5)
    tab.run()
    tab.video()


def test_two_runs_at_once(new_pocket_tab: Callable[..., Tab], comfy: Comfy, pocket: ServingProcess) -> None:
    tabs = [new_pocket_tab(), new_pocket_tab()]
    for number, tab in enumerate(tabs):
        tab.set_widget(GENERATE, "steps", 60)
        tab.set_widget(GENERATE, "seed", 100 + number)
        tab.set_widget("SaveVideo", "filename_prefix", f"video/run-{number}")
        tab.look_at("StillcueMatchScore", GENERATE)
        tab.run()
    first, second = tabs
    first.wait_for_progress(GENERATE, 0.2)
    assert len(comfy.queue()[1]) == 1
    second.screenshot("wrong-two-runs")
    assert first.video().get_attribute("src") != second.video().get_attribute("src")
    folder = comfy.folder / "output" / "video"
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("run-*.mp4")}
    assert len(digests) == 2


def test_the_server_is_busy_with_another_caller(new_pocket_tab: Callable[..., Tab], pocket: ServingProcess) -> None:
    import stillcue

    tab = new_pocket_tab()
    tab.set_widget(GENERATE, "seed", 200)
    tab.look_at("StillcueMatchScore", GENERATE)
    with (
        stillcue.Client(pocket.address) as client,
        client.generate(str(DEMO_PICTURE), SENTENCE, step_count=100, seed=201) as events,
    ):
        next(iter(events))
        tab.run()
        assert "1 ahead" in tab.wait_for_sentence("in the queue")
        tab.screenshot("wrong-server-busy")
    tab.video()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[ServingProcess, str]]:
    """A server that asks for a token, and the token."""
    token = "a-token-for-the-walk-that-is-long-enough"
    callers = tmp_path / "callers"
    digest = hashlib.sha256(token.encode()).hexdigest()
    callers.write_text(f"studio sha256:{digest}\n", encoding="utf-8")
    with serving("--bundle", str(POCKET), "--callers", str(callers)) as running:
        yield running, token


def test_a_token_that_is_missing(
    new_pocket_tab: Callable[..., Tab], comfy: Comfy, guarded: tuple[ServingProcess, str]
) -> None:
    server, token = guarded
    tab = new_pocket_tab()
    tab.set_widget("StillcueServer", "address", server.address)
    tab.run()
    error = tab.error()
    assert "put a valid token_file" in error
    assert f"“{server.address}”" in error
    assert "servers.toml" in error
    tab.screenshot("wrong-token-missing")

    tab.close_dialog()
    (comfy.folder / "studio.token").write_text(token, encoding="utf-8")
    (comfy.folder / "servers.toml").write_text(f'["{server.address}"]\ntoken_file = "studio.token"\n', encoding="utf-8")
    tab.run()
    tab.video()
    workflow = tab.page.evaluate("() => JSON.stringify(window.app.graph.serialize())")
    assert token not in workflow
    assert token not in str(comfy.get("/history"))
    (comfy.folder / "servers.toml").write_text("", encoding="utf-8")


def picture_file(file: Path, width_px: int, height_px: int, mode: str = "RGB") -> Path:
    """Writes the demo picture at another size."""
    with Image.open(DEMO_PICTURE) as picture:
        picture.convert(mode).resize((width_px, height_px), Image.Resampling.BICUBIC).save(file)
    return file
