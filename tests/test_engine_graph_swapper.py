"""The graph swapper alone: order of opening, prefetching and unloading, and failures."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event, Timer

import pytest

from engine.api.errors import BundleInvalid
from engine.bundle.graph_spec import GraphSpec
from engine.memory.swapping import GraphSwapper, SwappedGraph
from engine.runtime.base import Graph, Tensor
from tests.memory_demands import a14b_manifest


class SlowGraph:
    """A graph that writes down what it is told."""

    def __init__(self, spec: GraphSpec, log: list[str]) -> None:
        self.spec = spec
        self._log = log

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self._log.append(f"run {self.spec.stage}")

    def prefetch(self) -> None:
        self._log.append(f"prefetch {self.spec.stage}")

    def unload(self) -> None:
        self._log.append(f"unload {self.spec.stage}")


class Loader:
    """Opens graphs once it may, and can fail."""

    def __init__(self) -> None:
        self.may_go_on = Event()
        self.may_go_on.set()
        self.failures: list[Exception] = []
        self.log: list[str] = []

    def __call__(self, spec: GraphSpec) -> Graph:
        self.may_go_on.wait(10)
        if self.failures:
            raise self.failures.pop()
        self.log.append(f"open {spec.stage}")
        return SlowGraph(spec, self.log)


def _specs() -> tuple[GraphSpec, GraphSpec, GraphSpec]:
    text, _, _, high, *_ = a14b_manifest().graphs
    return text, high, a14b_manifest().graphs[-1]


def test_a_prefetch_that_failed_is_tried_again() -> None:
    text, _, _ = _specs()
    loader = Loader()
    loader.failures.append(BundleInvalid("damaged"))
    swapper = GraphSwapper(loader)
    swapper.enter([text], [])
    with pytest.raises(BundleInvalid, match="damaged"):
        swapper.get(text)
    assert swapper.get(text).spec == text
    swapper.close()


def test_what_runs_in_a_stage_waits_for_its_call_and_is_opened_once() -> None:
    text, high, _ = _specs()
    loader = Loader()
    swapper = GraphSwapper(loader)
    swapper.enter([text, high], [text])
    swapper.settle()
    assert loader.log == ["open transformer_high"]
    SwappedGraph(text, swapper).run({}, {})
    swapper.enter([text, high], [high])
    SwappedGraph(high, swapper).run({}, {})
    assert loader.log == ["open transformer_high", "open text_encoder", "run text_encoder", "run transformer_high"]
    swapper.close()


def test_room_is_made_before_anything_comes() -> None:
    text, high, decoder = _specs()
    loader = Loader()
    swapper = GraphSwapper(loader)
    swapper.enter([text], [])
    swapper.settle()
    swapper.enter([high], [])
    swapper.settle()
    swapper.enter([text, decoder], [])
    swapper.settle()
    unloads = [loader.log.index(f"unload {stage}") for stage in ("text_encoder", "transformer_high")]
    assert unloads[0] < loader.log.index("open transformer_high") < unloads[1]
    assert unloads[1] < loader.log.index("prefetch text_encoder")
    assert unloads[1] < loader.log.index("open vae_decoder_step")
    swapper.close()


def test_what_is_still_being_opened_leaves_as_well() -> None:
    text, high, _ = _specs()
    loader = Loader()
    swapper = GraphSwapper(loader)
    loader.may_go_on.clear()
    swapper.enter([text, high], [])  # one thread opens them one after another
    Timer(0.05, loader.may_go_on.set).start()
    swapper.enter([], [])
    assert loader.log == ["open text_encoder", "unload text_encoder"]
    SwappedGraph(high, swapper).run({}, {})
    assert loader.log[2:] == ["open transformer_high", "run transformer_high"]
    swapper.close()
