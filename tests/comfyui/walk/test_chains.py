"""Clips longer than the model: ``stages`` and ``seconds`` of Generate Video, from the queue to the saved file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import stillcue
from stillcue.segment_text import planned_lines
from tests.comfyui.walk.chain_runs import (
    LEFT,
    RIGHT,
    chain_graph,
    check_segments,
    check_texts,
    client_events,
    counted,
    frame_count,
    has,
    pixels,
    report_lines,
    run_to_end,
    saved_file,
    texts_of,
)
from tests.comfyui.walk.conftest import DEMO_PICTURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy
    from tests.comfyui.serving_process import ServingProcess
    from tests.comfyui.walk.tab import Tab

_ANOTHER = "A white cat slowly walks to the left."
_WHOLE = "A red car first rolls to the right, then the red car rolls to the left."
_PLANNED = [f"segment 1, frames 0 to 16: “{RIGHT}”", f"segment 2, frames 17 to 32: “{LEFT}”"]


@pytest.fixture(autouse=True)
def picture(comfy: Comfy) -> None:
    comfy.put_picture(DEMO_PICTURE.name, DEMO_PICTURE.read_bytes())


def test_stages_make_one_clip_whose_frames_are_those_of_the_client(
    comfy: Comfy, pocket: ServingProcess, captured: Callable[[str], Any]
) -> None:
    """The prompt, here of something else, has no effect beside ``stages``."""
    finished, texts = run_to_end(comfy, chain_graph(pocket, prompt=_ANOTHER, stages=f"{RIGHT}\n\n  {LEFT} \n"))
    assert finished.error == ""
    events = client_events(pocket, "", segments=[stillcue.Segment(RIGHT), stillcue.Segment(LEFT)])
    frames = [event for event in events if isinstance(event, stillcue.Frame)]
    assert [frame.index for frame in frames] == list(range(33))
    assert pixels(captured("frames")) == b"".join(frame.data for frame in frames)
    report = report_lines(finished)
    assert report[0].startswith("33 frames of 64x64 at 4 frames/s, 4 steps")
    assert has(report, _PLANNED)
    assert _ANOTHER not in "\n".join(report)
    check_segments(report, "frames 0 to 16", "frames 17 to 32")
    check_texts(texts, 33, "33 frames of 64x64 in 2 segments of 4 steps")
    assert frame_count(saved_file(comfy, finished)) == 33


def test_seconds_divide_the_prompt_by_its_stages(
    comfy: Comfy, pocket: ServingProcess, captured: Callable[[str], Any]
) -> None:
    finished, texts = run_to_end(comfy, chain_graph(pocket, prompt=_WHOLE, seconds=6.2))
    assert finished.error == ""
    events = client_events(pocket, _WHOLE, seconds=6.2)
    frames = [event for event in events if isinstance(event, stillcue.Frame)]
    assert [frame.index for frame in frames] == list(range(25))
    assert pixels(captured("frames")) == b"".join(frame.data for frame in frames)
    report = report_lines(finished)
    accepted = events[0]
    assert isinstance(accepted, stillcue.Accepted)
    planned = planned_lines(accepted.settings)
    assert planned == [
        "segment 1, frames 0 to 16: “A red car rolls to the right.”",
        "segment 2, frames 17 to 24: “A red car rolls to the left.”",
    ]
    assert has(report, planned)
    check_segments(report, "frames 0 to 16", "frames 17 to 24")
    check_texts(texts, 25, "25 frames of 64x64 in 2 segments of 4 steps")
    assert frame_count(saved_file(comfy, finished)) == 25


def test_the_servers_file_goes_through_all_segments(comfy: Comfy, pocket: ServingProcess) -> None:
    graph = chain_graph(pocket, stages=f"{RIGHT}\n{LEFT}", video="H.264 from the server")
    del graph["capture frames"]
    finished, texts = run_to_end(comfy, graph)
    assert finished.error == ""
    assert frame_count(saved_file(comfy, finished)) == 33
    assert counted(texts)[-1] == "33 of 33"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"seconds": 600.0}, "seconds is 600; the longest clip of this server has 48.25 s (193 frames)"),
        ({"frames": 17, "seconds": 6.0}, "frames is 17 and seconds is 6, both lengths of the clip; set one to 0"),
        (
            {"frames": 17, "stages": f"{RIGHT}\n{LEFT}"},
            "frames is 17, so that the last of the 2 segments would add no frame: leave that segment out, or ask for "
            "21 to 33 frames",
        ),
        (
            {"seconds": 20.0, "stages": f"{RIGHT}\n{LEFT}"},
            "seconds is 20, that is 81 frames; the 2 segments have 33: send 3 more segments",
        ),
        ({"stages": "\n".join([RIGHT] * 13)}, "stages are 13, more than the limit of 12; send fewer"),
        (
            {"stages": f"{RIGHT}\n{'far ' * 501}"},
            "stages (segment 2) has 2003 characters, more than the limit of 2000; shorten it",
        ),
    ],
    ids=["seconds", "two lengths", "frames of one segment", "too few stages", "too many stages", "a long stage"],
)
def test_a_wrong_length_is_told_and_the_queue_goes_on(
    comfy: Comfy, pocket: ServingProcess, inputs: dict[str, Any], message: str
) -> None:
    jobs = pocket.sample('jobs_total{outcome="completed"}')
    assert message in run_to_end(comfy, chain_graph(pocket, **inputs))[0].error
    assert pocket.sample('jobs_total{outcome="completed"}') == jobs
    assert comfy.queue() == ([], [])


def test_cancel_in_the_second_segment_ends_the_job_and_the_next_run_is_whole(
    comfy: Comfy, pocket: ServingProcess, captured: Callable[[str], Any]
) -> None:
    cancelled = pocket.sample('jobs_total{outcome="cancelled"}')
    stages = f"{RIGHT}\n{LEFT}"
    with comfy.listen() as listener:
        prompt_id = comfy.submit(chain_graph(pocket, stages=stages, steps=60), client_id=listener.client_id)
        listener.wait_for(
            lambda item: item.kind == "text" and item.data["text"].startswith("segment 2 of 2: denoising,")
        )
        comfy.interrupt()
        finished = comfy.wait(prompt_id, listener)
        texts = texts_of(listener)
    assert (finished.is_interrupted, finished.error) == (True, "")
    assert texts[-1] == "cancelled: the server's job has ended"
    assert counted(texts)[-1] == "17 of 33"
    pocket.reaches('jobs_total{outcome="cancelled"}', cancelled + 1)
    pocket.reaches("running_jobs", 0)
    assert not list((comfy.folder / "output" / "captured").glob("frames.*"))
    assert run_to_end(comfy, chain_graph(pocket, stages=stages, seed=8))[0].error == ""
    assert captured("frames").shape == (33, 64, 64, 3)


def test_stages_in_the_browser(new_pocket_tab: Callable[..., Tab], comfy: Comfy) -> None:
    tab = new_pocket_tab()
    tab.look_at("StillcueGenerateVideo", "StillcueDiagnosis")
    tab.page.get_by_placeholder("stages").fill(f"{RIGHT}\n{LEFT}")
    tab.set_widget("SaveVideo", "filename_prefix", "video/stages")
    tab.run()
    assert "frames is 17, so that the last of the 2 segments would add no frame" in tab.error()
    tab.close_dialog()
    tab.set_widget("StillcueGenerateVideo", "frames", 0)
    tab.set_widget("StillcueGenerateVideo", "steps", 60)
    tab.run()
    tab.wait_for_sentence("segment 2 of 2: denoising")
    player = tab.video()
    assert player.evaluate("(video) => video.duration") == pytest.approx(33 / 4, abs=0.01)
    (saved,) = (comfy.folder / "output" / "video").glob("stages_*.mp4")
    assert frame_count(saved) == 33
    tab.look_at("StillcueGenerateVideo", "StillcueDiagnosis", "SaveVideo")
    tab.wait_for_sentence("33 frames of 64x64")
    tab.screenshot("7-stages")
