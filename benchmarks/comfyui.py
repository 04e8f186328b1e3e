"""Cost of ComfyUI and the pack: clips through a real ComfyUI, compared with clips through the bare Python client.

    COMFYUI=folder python -m benchmarks.comfyui --json FILE [--pairs 7]

Both sides call the same server for the same clip: the same prepared picture, sentence and settings. ComfyUI's side runs
from POST /prompt to the message that the run has succeeded, with every frame in an IMAGE; the client's from the call to
the last frame in an array. Sides alternate in going first, and each pair has a seed of its own; the first pair is not
counted. ``*_ratio`` is the median over pairs, ComfyUI / client. Cases: pocket, and random weights at larger sizes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import stillcue
from benchmarks.processes import ROOT
from benchmarks.report import Report
from engine.api.capabilities import Geometry
from tests.checkpoints import TinyModel
from tests.comfyui.comfy import Comfy, Graph
from tests.comfyui.graphs import GENERATE, generate_node, node, prepare_graph
from tests.comfyui.installation import Installation, InstallationError
from tests.comfyui.real_comfy import real_comfy
from tests.comfyui.serving_process import POCKET, serving
from tests.exporting import export_tiny

PACK = ROOT / "clients" / "comfyui"
SENTENCE = "A red car slowly rolls to the right, the scene gets darker."
_PATIENCE_SECONDS = 600.0
_TARGET = 1.10


@dataclass(frozen=True)
class Case:
    """A clip; ``random`` is the shape of random weights, None is pocket."""

    name: str
    width_px: int
    height_px: int
    frame_count: int
    step_count: int
    random: TinyModel | None = None


CASES = (
    Case("pocket_64x64x17", 64, 64, 17, 20),
    Case("random_256x256x33", 256, 256, 33, 8, TinyModel()),
    Case("random_480x272x17", 480, 272, 17, 6, TinyModel()),
)


def main() -> None:
    """Measures every case, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comfyui")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--pairs", type=int, default=7, help="counted pairs of each case")
    options = parser.parse_args()
    figures: dict[str, float] = {"pair_count": options.pairs}
    with running_comfy() as comfy:
        for case in CASES:
            figures |= _cost(comfy, case, options.pairs)
    report = Report("comfyui", figures, {f"{case.name}_ratio": _TARGET for case in CASES})
    report.show()
    report.write(options.json)


@contextmanager
def running_comfy() -> Iterator[Comfy]:
    """Starts the ComfyUI that ``COMFYUI`` names, with the pack. Raises ``SystemExit`` if there is none."""
    try:
        installation = Installation.from_environment()
        installation.check()
    except InstallationError as error:
        raise SystemExit(str(error)) from error
    with tempfile.TemporaryDirectory() as folder:
        servers = Path(folder) / "servers.toml"
        servers.touch()
        variables = {"STILLCUE_SERVERS_FILE": str(servers)}
        with real_comfy(installation, Path(folder), {"stillcue": PACK}, variables) as comfy:
            yield comfy


@contextmanager
def served_bundle(case: Case) -> Iterator[Path]:
    """Gives the bundle of a case; random weights are exported first."""
    if case.random is None:
        yield POCKET
        return
    with tempfile.TemporaryDirectory() as folder:
        geometry = Geometry(case.width_px, case.height_px, case.frame_count)
        yield export_tiny(Path(folder), case.random, (geometry,)).bundle


def graph_of(case: Case, address: str, picture: str, seed: int) -> Graph:
    """Returns the graph of a clip, whose frames reach a node that shows text."""
    return {
        **prepare_graph(address, picture, prompt=SENTENCE, size=f"{case.width_px}x{case.height_px}"),
        **generate_node(prompt=SENTENCE, steps=case.step_count, seed=seed),
        "shown": node("PreviewAny", source=[GENERATE, 1]),
    }


def picture_of(comfy: Comfy, case: Case) -> tuple[str, Path]:
    """Writes the demo picture at the clip's size into ComfyUI's input folder; returns its name and its path."""
    file = comfy.folder / "input" / f"{case.name}.png"
    with Image.open(ROOT / "scripts" / "demo-picture.png") as picture:
        picture.convert("RGB").resize((case.width_px, case.height_px), Image.Resampling.BICUBIC).save(file)
    return file.name, file


def _cost(comfy: Comfy, case: Case, pair_count: int) -> dict[str, float]:
    with ExitStack() as stack:
        bundle = stack.enter_context(served_bundle(case))
        server = stack.enter_context(serving("--bundle", str(bundle)))
        client = stack.enter_context(stillcue.Client(server.address))
        name, file = picture_of(comfy, case)
        pairs = []
        for seed in range(pair_count + 1):
            graph = graph_of(case, server.address, name, seed)
            if seed % 2:
                ours = _through_comfy(comfy, graph)
                bare = _through_client(client, case, file, seed)
            else:
                bare = _through_client(client, case, file, seed)
                ours = _through_comfy(comfy, graph)
            pairs.append((ours, bare))
    counted = pairs[1:]
    return {
        f"{case.name}_ratio": statistics.median(ours / bare for ours, bare in counted),
        f"{case.name}_comfyui_seconds": statistics.median(ours for ours, _ in counted),
        f"{case.name}_client_seconds": statistics.median(bare for _, bare in counted),
    }


def _through_comfy(comfy: Comfy, graph: Graph) -> float:
    with comfy.listen() as listener:
        started = time.perf_counter()
        prompt_id = comfy.submit(graph, client_id=listener.client_id)
        listener.wait_for(lambda message: message.ends(prompt_id), timeout_seconds=_PATIENCE_SECONDS)
        seconds = time.perf_counter() - started
        finished = comfy.wait(prompt_id, listener)
    if finished.status != "success":
        raise SystemExit(f"ComfyUI's run failed: {finished.error}")
    return seconds


def _through_client(client: stillcue.Client, case: Case, picture: Path, seed: int) -> float:
    started = time.perf_counter()
    frames: list[Any] = [None] * case.frame_count
    options: dict[str, Any] = {"step_count": case.step_count, "seed": seed, "frame_count": case.frame_count}
    options |= {"width_px": case.width_px, "height_px": case.height_px}
    for event in client.generate(picture, SENTENCE, frame_encoding=stillcue.FrameEncoding.RAW_RGB, **options):
        if isinstance(event, stillcue.Frame):
            pixels = np.frombuffer(event.data, np.uint8).reshape(case.height_px, case.width_px, 3)
            frames[event.index] = pixels
    np.stack(frames)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
