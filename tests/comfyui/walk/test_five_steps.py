"""The article's five steps: load the workflow, upload a picture, write the sentence, Run, look at the video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest

from tests.comfyui.walk.conftest import DEMO_PICTURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy
    from tests.comfyui.serving_process import ServingProcess
    from tests.comfyui.walk.tab import Tab

SENTENCE = "A red car slowly rolls to the right."
WORKFLOWS = DEMO_PICTURE.parents[1] / "clients" / "comfyui" / "example_workflows"


def test_a_picture_and_a_sentence_become_a_video(
    new_tab: Callable[..., Tab], comfy: Comfy, pocket: ServingProcess
) -> None:
    folder = comfy.folder / "output" / "video"
    saved_before = set(folder.glob("*"))
    tab = new_tab()
    tab.open_template("pocket_64x64")
    tab.set_widget("StillcueServer", "address", pocket.address)
    assert "64x64" in tab.wait_for_sentence("Serves pocket")
    tab.screenshot("1-load")

    assert tab.upload(DEMO_PICTURE) == "demo-picture.png"
    tab.wait_for_preview("LoadImage")
    tab.screenshot("2-picture")

    tab.text_box("A red car slowly rolls to the right, the scene gets darker.").fill(SENTENCE)
    tab.screenshot("3-sentence")

    tab.set_widget("StillcueGenerateVideo", "steps", 100)
    tab.look_at("StillcueMatchScore", "StillcueGenerateVideo")
    tab.run()
    tab.wait_for_progress("StillcueGenerateVideo", 0.3)
    assert "of 100" in tab.wait_for_sentence("denoising")
    tab.wait_for_preview("StillcueGenerateVideo")
    tab.screenshot("4-running")

    player = tab.video()
    tab.look_at("StillcueGenerateVideo", "StillcueDiagnosis", "SaveVideo")
    player.evaluate("(video) => video.play()")
    tab.wait_for_player(player, "video.currentTime > 1")
    assert player.evaluate("(video) => [video.videoWidth, video.videoHeight, video.error]") == [64, 64, None]
    assert player.evaluate("(video) => video.duration") == pytest.approx(17 / 4, abs=0.01)
    tab.screenshot("5-video")

    (saved,) = set(folder.glob("pocket_64x64_*.mp4")) - saved_before
    with av.open(str(saved)) as file:
        assert len(list(file.decode(video=0))) == 17
        assert file.streams.video[0].average_rate == 4


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("workflow", ["wan2.2_i2v_A14B", "pocket_64x64"])
def test_a_workflow_loads_without_missing_nodes(new_tab: Callable[..., Tab], workflow: str, language: str) -> None:
    tab = new_tab(language)
    tab.open_template(workflow)
    assert tab.dialogs() == []
    assert set(tab.node_types()) <= tab.known_types()


def test_a_workflow_file_can_be_dropped(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.drop_file(WORKFLOWS / "pocket_64x64.json")
    tab.wait_for_node("StillcueGenerateVideo")
    assert tab.dialogs() == []


def test_a_saved_video_brings_its_workflow_back(
    new_tab: Callable[..., Tab], new_pocket_tab: Callable[..., Tab], comfy: Comfy
) -> None:
    tab = new_pocket_tab()
    tab.set_widget("SaveVideo", "filename_prefix", "video/again")
    tab.set_widget("StillcueGenerateVideo", "steps", 3)
    tab.run()
    tab.video()
    (saved,) = (comfy.folder / "output" / "video").glob("again_*.mp4")
    other = new_tab()
    other.drop_file(saved)
    other.wait_for_node("StillcueGenerateVideo")
    assert other.widget("StillcueGenerateVideo", "steps") == 3
