"""What people do with a workflow beyond the five steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest

from tests.comfyui.walk.test_wrong_ways import GENERATE, SENTENCE, picture_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.comfyui.comfy import Comfy
    from tests.comfyui.serving_process import ServingProcess
    from tests.comfyui.walk.tab import Tab

COMPLETED = 'jobs_total{outcome="completed"}'


def test_equal_inputs_are_generated_once_and_another_sentence_anew(
    new_pocket_tab: Callable[..., Tab], pocket: ServingProcess
) -> None:
    tab = new_pocket_tab()
    tab.set_widget(GENERATE, "seed", 300)
    tab.run()
    tab.video()
    jobs = pocket.sample(COMPLETED)
    tab.run_to_the_end()
    assert pocket.sample(COMPLETED) == jobs
    tab.look_at("PrimitiveStringMultiline")
    tab.text_box(SENTENCE).fill("A red car slowly rolls to the left.")
    tab.run_to_the_end()
    assert pocket.sample(COMPLETED) == jobs + 1


def test_a_page_that_is_loaded_again_during_a_run_loses_nothing(
    new_pocket_tab: Callable[..., Tab], pocket: ServingProcess
) -> None:
    tab = new_pocket_tab()
    jobs = pocket.sample(COMPLETED)
    tab.set_widget(GENERATE, "steps", 100)
    tab.set_widget(GENERATE, "seed", 301)
    tab.run()
    tab.wait_for_progress(GENERATE, 0.05)
    tab.open()
    tab.wait_for_node(GENERATE)
    pocket.reaches(COMPLETED, jobs + 1)
    assert tab.widget(GENERATE, "seed") == 301
    tab.run()
    tab.video()
    assert pocket.sample(COMPLETED) == jobs + 1


def test_a_workflow_without_its_server_node(new_pocket_tab: Callable[..., Tab]) -> None:
    tab = new_pocket_tab()
    tab.delete("StillcueServer")
    tab.run()
    error = tab.error()
    assert "Required input is missing: server" in error


@pytest.mark.parametrize(
    ("name", "width_px", "height_px", "mode"),
    [
        ("alpha.png", 640, 480, "RGBA"),
        ("portrait.png", 480, 832, "RGB"),
        ("photo.jpg", 4000, 3000, "RGB"),
        ("grey.png", 300, 200, "L"),
        ("a picture (1) 图片.png", 96, 96, "RGB"),
    ],
)
def test_pictures_of_every_kind_become_a_video(
    new_pocket_tab: Callable[..., Tab], tmp_path: Path, name: str, width_px: int, height_px: int, mode: str
) -> None:
    tab = new_pocket_tab()
    tab.upload(picture_file(tmp_path / name, width_px, height_px, mode))
    tab.set_widget("StillcueMatchScore", "minimum_score", 0)
    tab.set_widget(GENERATE, "steps", 5)
    tab.run()
    tab.video()


def test_a_chinese_sentence_in_the_chinese_interface(new_pocket_tab: Callable[..., Tab]) -> None:
    tab = new_pocket_tab(language="zh-CN")
    tab.text_box(SENTENCE).fill("一辆红色的汽车缓缓向右行驶，光线慢慢变暗")
    tab.run()
    tab.video()
    tab.look_at("StillcueMatchScore", GENERATE)
    tab.screenshot("6-chinese")


@pytest.mark.parametrize("source", ["from the frames", "H.264 from the server"])
@pytest.mark.parametrize(("kind", "codec"), [("auto", "auto"), ("mp4", "h264")])
def test_save_video_writes_every_format(
    new_pocket_tab: Callable[..., Tab], comfy: Comfy, source: str, kind: str, codec: str
) -> None:
    tab = new_pocket_tab()
    name = f"{source[:5]}-{kind}-{codec}".replace(".", "")
    tab.set_widget("SaveVideo", "filename_prefix", f"video/{name}")
    tab.set_widget("SaveVideo", "format", kind)
    tab.set_widget("SaveVideo", "codec", codec)
    tab.set_widget(GENERATE, "video", source)
    tab.set_widget(GENERATE, "steps", 5)
    tab.run()
    player = tab.video()
    player.evaluate("(video) => video.play()")
    tab.wait_for_player(player, "video.currentTime > 0.5 && video.error === null && video.videoWidth === 64")
    (saved,) = (comfy.folder / "output" / "video").glob(f"{name}_*.mp4")
    with av.open(str(saved)) as file:
        assert len(list(file.decode(video=0))) == 17
