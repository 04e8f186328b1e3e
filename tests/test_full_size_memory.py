"""Figures of true-size plans: merging the parts of a transformer, and the table in docs/memory.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.block_groups import split
from benchmarks.full_size_cases import ATTENTION_MARK, CASES
from benchmarks.full_size_depths import block_bytes, deepened
from benchmarks.full_size_engine import _joined, _write_graphs
from benchmarks.full_size_export import PartWeights
from benchmarks.full_size_memory import GRAPHS, PAGE, manifests, read_graphs, tables, with_tables
from benchmarks.true_size import DrawnWeights, layer_count, write_configurations
from engine.memory.plan import GPU_BYTES, RESERVED_BYTES, plan_memory
from export.tracing.assemble import build_graph, save_graph
from export.tracing.module_graph import ModuleGraph, Segment, TracedModule
from export.tracing.trace import Trace
from export.tracing.transformer import transformer_graph
from export.weights.layouts.opening import open_checkpoint
from export.weights.shards import Shards
from tests.checkpoints import TinyModel, _transformer
from tests.memory_demands import A14B_480P, A14B_INT4, GB, SM_86, SM_89, a14b_manifest

_BUDGET = GPU_BYTES - RESERVED_BYTES


class Scaled(nn.Module):
    """``forward(hidden, factor) -> hidden * weight + factor``."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, hidden: Tensor, factor: Tensor) -> Tensor:
        return hidden * self.weight + factor


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


def _run(file: Path, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = {node.name: values[node.name] for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def test_a_part_takes_only_what_it_needs() -> None:
    first, second = split(_chain(4), 2)
    assert (tuple(first.inputs), first.output_names) == (("hidden_0",), ("hidden_2",))
    assert (tuple(second.inputs), second.output_names) == (("hidden_2",), ("hidden_4",))


def test_true_sizes_are_those_of_the_official_checkpoints(tmp_path: Path) -> None:
    """Parameters: A14B's two experts have 14.289 B each, the 5B transformer 5.000 B, umT5-xxl's encoder 5.68 B."""
    counts = {}
    for model in ("a14b", "5b"):
        checkpoint = open_checkpoint(write_configurations(tmp_path / model, model, layer_count(model)))
        counts[model] = sum(parameter.numel() for parameter in checkpoint.transformer("transformer").parameters())
    counts["text"] = sum(parameter.numel() for parameter in checkpoint.text_encoder().parameters())
    assert {name: round(count / 1e9, 2) for name, count in counts.items()} == {"a14b": 14.29, "5b": 5.0, "text": 5.68}


def test_drawn_weights_are_the_same_each_time_and_differ_by_name() -> None:
    weights = DrawnWeights(nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)}))
    torch.testing.assert_close(weights.read("a.weight"), weights.read("a.weight"))
    assert not torch.equal(weights.read("a.weight"), weights.read("b.weight"))
    assert weights.shape("a.bias") == (8,)


def test_a_bundle_of_compiled_graphs_is_planned_as_a_server_would() -> None:
    whole = a14b_manifest()
    one_expert = [graph for graph in whole.graphs if graph.stage != "transformer_low"]
    ((manifest, capability),) = manifests(one_expert)
    assert capability == SM_86
    assert manifest.latent == whole.latent
    expected = plan_memory(whole, SM_86, _BUDGET).of(A14B_480P)
    assert plan_memory(manifest, capability, _BUDGET).of(A14B_480P) == expected


def test_the_table_says_what_the_plan_does() -> None:
    text = tables([graph for graph in a14b_manifest().graphs if graph.stage != "transformer_low"])
    row = "| Wan2.2-I2V-A14B in INT4 | 832×480×81 | RTX 3090 | 23.47 GB | both | text_encoder |\n\n"
    head = "### Wan2.2-I2V-A14B in INT4, 832×480×81, RTX 3090\n\nMost: 23.47 GB of 24.16 GB.\n"
    assert row + head in text
    assert "| denoise, low noise | 15.98 | 3.90 | 0.10 | 19.99 |  |  |\n" in text


def test_the_table_says_what_does_not_fit_and_what_would() -> None:
    larger = a14b_manifest({**A14B_INT4, "transformer_high": (16 * GB, 9 * GB)})
    text = tables([graph for graph in larger.graphs if graph.stage != "transformer_low"])
    assert "| Wan2.2-I2V-A14B in INT4 | 832×480×81 | RTX 3090 | does not fit |  |  |\n" in text
    assert "\n* Wan2.2-I2V-A14B in INT4 does not fit: 832x480, 81 frames " in text
    assert "###" not in text


def test_attention_in_fp8_is_told_apart() -> None:
    graphs = a14b_manifest(precision="fp8", compute_capability=SM_89).graphs
    marked = [
        graph.with_changes(file=f"transformer_high{ATTENTION_MARK}_1.onnx")
        if graph.stage == "transformer_high"
        else graph
        for graph in graphs
    ]
    assert "| Wan2.2-I2V-A14B in FP8, attention too | 832×480×81 | RTX 4090 |" in tables(marked)
    assert "attention too" not in tables(graphs)


def test_a_whole_transformer_follows_from_few_blocks() -> None:
    engines = {
        2: {"weight_bytes": 300, "plan_bytes": 310, "activation_bytes": 90, "file": "a.plan"},
        4: {"weight_bytes": 500, "plan_bytes": 520, "activation_bytes": 70, "file": "a.plan"},
    }
    added = block_bytes(engines)
    assert added == {"weight_bytes": 100.0, "plan_bytes": 105.0, "activation_bytes": 0.0}  # scratch never shrinks
    whole = {"weight_bytes": 4100, "plan_bytes": 4300, "activation_bytes": 70, "file": "a.plan"}
    assert deepened(engines[4], 36, added) == whole


def test_entries_that_are_not_compiled_again_stay(tmp_path: Path) -> None:
    graphs = [graph.as_dict() for graph in a14b_manifest().graphs]
    _write_graphs(graphs, tmp_path / "graphs.json")
    (first,) = [graph for graph in graphs if graph["stage"] == "transformer_high"]
    (engine,) = first["engines"]
    _write_graphs([first | {"engines": [engine | {"activation_bytes": 7}]}], tmp_path / "graphs.json")
    kept = read_graphs(tmp_path / "graphs.json")
    assert {graph.file for graph in kept} == {graph["file"] for graph in graphs}
    assert [graph.engines[0].activation_bytes for graph in kept if graph.stage == "transformer_high"] == [7]


def test_parts_count_together() -> None:
    part = a14b_manifest().graphs[3].as_dict()
    joined = _joined([part, part], CASES["a14b-fp8"], crossing_bytes=7)
    (one,), (engine,) = part["engines"], joined["engines"]
    assert engine["weight_bytes"] == 2 * one["weight_bytes"]
    assert engine["activation_bytes"] == one["activation_bytes"] + 7


def test_the_page_is_what_the_results_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, tables(read_graphs(GRAPHS))) == page
