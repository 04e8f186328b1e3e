"""Runs of chains in ComfyUI with pocket: the graph, the client's own clip, and what the node and the report tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

import stillcue
from tests.comfyui.graphs import DIAGNOSIS, GENERATE, clip_graph, node
from tests.comfyui.walk.conftest import DEMO_PICTURE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.comfyui.comfy import Comfy, Finished, Graph
    from tests.comfyui.listener import Listener
    from tests.comfyui.serving_process import ServingProcess

RIGHT, LEFT = "A red car slowly rolls to the right.", "The red car slowly rolls to the left."


def chain_graph(pocket: ServingProcess, **inputs: Any) -> Graph:
    """Server, picture, Prepare Picture, Generate Video, Save Video and Diagnosis."""
    return {
        **clip_graph(pocket.address, DEMO_PICTURE.name, **{"prompt": RIGHT, "steps": 4, **inputs}),
        "save": node("SaveVideo", video=[GENERATE, 0], filename_prefix="video/chain", format="mp4", codec="h264"),
        DIAGNOSIS: node("StillcueDiagnosis", clip=[GENERATE, 2]),
    }


def run_to_end(comfy: Comfy, graph: Graph) -> tuple[Finished, list[str]]:
    """Returns the end of the run and every text of Generate Video."""
    with comfy.listen() as listener:
        finished = comfy.wait(comfy.submit(graph, client_id=listener.client_id), listener)
        return finished, texts_of(listener)


def texts_of(listener: Listener) -> list[str]:
    return [item.data["text"] for item in listener.messages if item.kind == "text"]


def client_events(pocket: ServingProcess, prompt: str, **length: Any) -> list[stillcue.Event]:
    with stillcue.Client(pocket.address) as client:
        raw, fit = stillcue.FrameEncoding.RAW_RGB, stillcue.PictureFit.CROP_CENTER
        options = {"seed": 7, "step_count": 4, "frame_encoding": raw, "picture_fit": fit, **length}
        return list(client.generate(str(DEMO_PICTURE), prompt, **options))


def pixels(images: Any) -> bytes:
    return np.rint(images * 255).astype(np.uint8).tobytes()


def report_lines(finished: Finished) -> list[str]:
    lines: list[str] = finished.outputs[DIAGNOSIS]["text"][0].splitlines()
    return lines


def has(report: list[str], planned: list[str]) -> bool:
    start = report.index(planned[0])
    return report[start : start + len(planned)] == planned


def check_segments(report: list[str], *frames: str) -> None:
    """Each segment has its match and its chance; each but the first its seam."""
    for number, span in enumerate(frames, start=1):
        (at,) = [place for place, line in enumerate(report) if line.startswith(f"segment {number}: {span}, match ")]
        assert ", good with " in report[at]
        assert report[at + 1].startswith(f"  seam at frame {span.split()[1]}: ") is (number > 1)
    assert any(line.startswith("from beginning to end: ") for line in report)


def check_texts(texts: list[str], frame_count: int, accepted: str) -> None:
    """The text in the node names both segments in order, and counts frames through."""
    assert any(text.startswith(accepted) for text in texts)
    named = [text.split(":")[0] for text in texts if text.startswith("segment ")]
    assert named == sorted(named)
    assert set(named) == {"segment 1 of 2", "segment 2 of 2"}
    assert counted(texts) == [f"{count} of {frame_count}" for count in range(1, frame_count + 1)]


def counted(texts: list[str]) -> list[str]:
    head = "decoding frames: "
    return [text.splitlines()[0].removeprefix(head) for text in texts if text.startswith(head)]


def saved_file(comfy: Comfy, finished: Finished) -> Path:
    (file,) = finished.outputs["save"]["images"]
    return comfy.folder / "output" / file["subfolder"] / file["filename"]


def frame_count(file: Path) -> int:
    with av.open(str(file)) as container:
        return sum(1 for _ in container.decode(video=0))
