"""Transformers cut into groups of blocks: values, sizes, and graphs of the groups one after another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.full_size_export import PartWeights
from export.tracing.assemble import build_graph, save_graph
from export.tracing.block_groups import largest_share, split
from export.tracing.module_graph import ModuleGraph, Segment, TracedModule
from export.tracing.trace import Trace
from export.tracing.transformer import transformer_graph
from export.weights.shards import Shards
from tests.checkpoints import TinyModel, _transformer


class Scaled(nn.Module):
    """``forward(hidden, factor) -> hidden * weight + factor``."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, hidden: Tensor, factor: Tensor) -> Tensor:
        return hidden * self.weight + factor


class Sized(nn.Module):
    def __init__(self, parameter_count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(parameter_count))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.weight.sum()


def _chain(block_count: int) -> TracedModule:
    links = [
        Segment(Scaled(index + 1.0), (f"hidden_{index}", "factor"), (f"hidden_{index + 1}",), "block")
        for index in range(block_count)
    ]
    chain = ModuleGraph(links, ("hidden_0",), (f"hidden_{block_count}",), constants={"factor": torch.tensor([0.5])})
    return TracedModule(chain, {"hidden_0": torch.arange(4.0)}, ("prediction",))


def test_parts_one_after_another_compute_what_the_whole_does() -> None:
    whole = _chain(7)
    for part_count in (1, 2, 3, 7):
        parts = split(whole, part_count)
        assert len(parts) == part_count
        values = dict(whole.inputs)
        for part in parts:
            outputs = part.module(*(values[name] for name in part.inputs))
            values |= zip(part.output_names, outputs, strict=True)
        last = parts[-1].output_names[0]
        torch.testing.assert_close(values[last], whole.reference()[0])
        assert sum(1 for part in parts for _ in part.module.parameters()) == 7


@pytest.mark.walk
def test_graphs_of_a_cut_transformer_compute_what_one_graph_does(tmp_path: Path) -> None:
    model = _transformer(TinyModel(layer_count=3), z_dim=16)
    whole = transformer_graph(model, (3, 6, 8), expand_timesteps=False)
    traces: dict[str, Trace] = {}
    save_graph(build_graph(whole, None, tmp_path, traces), tmp_path / "whole.onnx")
    values = {name: tensor.numpy() for name, tensor in whole.inputs.items()}
    expected = _run(tmp_path / "whole.onnx", values)["prediction"]
    for index, part in enumerate(split(whole, 2)):
        own = {id(parameter) for parameter in part.module.parameters()}
        stored = {name: parameter for name, parameter in model.named_parameters() if id(parameter) in own}
        assert 0 < len(stored) < len(dict(model.named_parameters()))  # a part's file holds its own weights alone
        save_file(stored, tmp_path / f"{index}.safetensors")
        weights = PartWeights(model, Shards.of_file(tmp_path / f"{index}.safetensors").weights)
        save_graph(build_graph(part, weights, tmp_path, traces), tmp_path / f"{index}.onnx")
        values |= _run(tmp_path / f"{index}.onnx", values)
    np.testing.assert_allclose(values["prediction"], expected, rtol=1e-5, atol=1e-6)


def test_groups_have_about_as_many_parameters_each() -> None:
    """The first segment of a transformer, with its embedders, is larger than a block."""
    counts = (400, 100, 100, 100, 100, 100, 100, 100, 1)
    links = [
        Segment(Sized(count), (f"hidden_{index}",), (f"hidden_{index + 1}",), "") for index, count in enumerate(counts)
    ]
    chain = ModuleGraph(links, ("hidden_0",), ("hidden_9",))
    whole = TracedModule(chain, {"hidden_0": torch.zeros(1)}, ("hidden_9",))
    sizes = {
        count: [sum(weight.numel() for weight in part.module.parameters()) for part in split(whole, count)]
        for count in (1, 2, 3, 9)
    }
    assert sizes == {
        1: [1101],
        2: [600, 501],
        3: [400, 300, 401],
        9: [400, 100, 100, 100, 100, 100, 100, 100, 1],
    }
    assert [largest_share(chain, count) for count in (1, 2, 3)] == [1.0, 600 / 1101, 401 / 1101]
    with pytest.raises(ValueError, match="9 segments cannot be cut into 10 groups"):
        split(whole, 10)


def _run(file: Path, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = {node.name: values[node.name] for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def test_a_part_takes_only_what_it_needs() -> None:
    first, second = split(_chain(4), 2)
    assert (tuple(first.inputs), first.output_names) == (("hidden_0",), ("hidden_2",))
    assert (tuple(second.inputs), second.output_names) == (("hidden_2",), ("hidden_4",))
