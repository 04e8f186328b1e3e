"""The model at run time: numpy and a graph runtime. Knows no gRPC, no torch and no server.

Public names: ``open_engine`` opens a bundle, ``FakeEngine`` computes frames that a person can check by hand,
``WorkerEngine`` runs either in a process of its own, ``encode_frame`` turns pixels into a file, ``render_heat_map`` and
``render_crop`` draw what a match report says; ``engine.api.types`` and ``engine.api.errors`` hold all that
crosses the border. Heavy imports happen when an engine is opened, not here.
"""

from __future__ import annotations

from engine.api.types import Engine
from engine.generate.opening import open_engine
from engine.media.encode import encode_frame
from engine.media.rendering import render_crop, render_heat_map
from engine.testing.fake_engine import FakeEngine
from engine.worker import WorkerEngine

__all__ = [
    "Engine",
    "FakeEngine",
    "WorkerEngine",
    "encode_frame",
    "open_engine",
    "render_crop",
    "render_heat_map",
]
