"""Graphs in their API form, from the pack's nodes and the test pack's."""

from __future__ import annotations

from typing import Any

from tests.comfyui.comfy import Graph

PROMPT = "a red fox turns its head"  # 6 words: the fake engine scores 60
SERVER, LOAD, PREPARE, MATCH, GENERATE, DIAGNOSIS = "server", "load", "prepare", "match", "generate", "diagnosis"


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """Returns a node."""
    return {"class_type": kind, "inputs": inputs}


def capture(name: str, source: str, slot: int) -> Graph:
    """Returns a node that writes an output of another node into ``captured/NAME``."""
    return {f"capture {name}": node("StillcueTestCapture", name=name, value=[source, slot])}


def prepare_graph(address: str, picture: str, **inputs: Any) -> Graph:
    """Returns server, picture and Prepare Picture; ``tls`` and inputs of Prepare Picture replace the defaults."""
    defaults = {"prompt": PROMPT, "size": "by the picture", "fit": "crop_center", "large_pictures": "shrink"}
    tls = inputs.pop("tls", "auto")
    return {
        SERVER: node("StillcueServer", address=address, tls=tls),
        LOAD: node("LoadImage", image=picture),
        PREPARE: node("StillcuePreparePicture", **{"server": [SERVER, 0], "image": [LOAD, 0], **defaults, **inputs}),
    }


def match_node(**inputs: Any) -> Graph:
    """Returns Match Score after Prepare Picture."""
    defaults: dict[str, Any] = {"prompt": PROMPT, "minimum_score": 0.0}
    links = {"server": [SERVER, 0], "picture": [PREPARE, 0]}
    return {MATCH: node("StillcueMatchScore", **{**links, **defaults, **inputs})}


def generate_node(**inputs: Any) -> Graph:
    """Returns Generate Video after Prepare Picture, with the defaults of its inputs and seed 7."""
    defaults: dict[str, Any] = {
        "server": [SERVER, 0],
        "picture": [PREPARE, 0],
        "prompt": PROMPT,
        "frames": 0,
        "frame_rate": 0.0,
        "steps": 0,
        "guidance": 0.0,
        "guidance_low_noise": 0.0,
        "seed": 7,
        "negative_prompt": "",
        "negative_when_empty": "server's default",
        "video": "from the frames",
    }
    return {GENERATE: node("StillcueGenerateVideo", **{**defaults, **inputs})}


def clip_graph(address: str, picture: str, **inputs: Any) -> Graph:
    """Returns a graph that generates a clip and captures its frames; ``inputs`` are those of Generate Video."""
    return {
        **prepare_graph(address, picture, tls=inputs.pop("tls", "auto")),
        **generate_node(**inputs),
        **capture("frames", GENERATE, 1),
    }
