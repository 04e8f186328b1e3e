"""Figures of true-size plans: merging the parts of a transformer, and the table in docs/memory.md."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from benchmarks.full_size_cases import ATTENTION_MARK, CASES
from benchmarks.full_size_depths import block_bytes, deepened
from benchmarks.full_size_engine import _joined, _write_graphs
from benchmarks.full_size_memory import GRAPHS, PAGE, manifests, read_graphs, tables, with_tables
from benchmarks.true_size import DrawnWeights, layer_count, write_configurations
from engine.memory.plan import GPU_BYTES, RESERVED_BYTES, plan_memory
from export.weights.layouts.opening import open_checkpoint
from tests.memory_demands import A14B_480P, A14B_INT4, GB, SM_86, SM_89, a14b_manifest

_BUDGET = GPU_BYTES - RESERVED_BYTES


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
    row = "| Wan2.2-I2V-A14B in INT4 | 832×480×81 | RTX 3090 | compiled | 23.47 GB | both | text_encoder |\n"
    head = "### Wan2.2-I2V-A14B in INT4, 832×480×81, RTX 3090\n\nMost: 23.47 GB of 24.16 GB.\n"
    assert row in text
    assert head in text
    assert "| denoise, low noise | 15.98 | 3.90 | 0.15 | 20.04 |  |  |\n" in text


def test_the_table_scales_to_sizes_that_were_not_compiled() -> None:
    text = tables([graph for graph in a14b_manifest().graphs if graph.stage != "transformer_low"])
    assert "| Wan2.2-I2V-A14B in INT4 | 1280×720×81 | RTX 3090 | scaled | " in text
    assert "| Wan2.2-I2V-A14B in INT4 | 832×480×121 | RTX 3090 | scaled | " in text
    assert text.count("###") == 1


def test_the_table_says_what_does_not_fit() -> None:
    larger = a14b_manifest({**A14B_INT4, "transformer_high": (16 * GB, 9 * GB)})
    text = tables([graph for graph in larger.graphs if graph.stage != "transformer_low"])
    assert "| RTX 3090 | compiled | does not fit: 25.15 GB at least |  |  |\n" in text
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
    joined = _joined([part, part], CASES["a14b-fp8"])
    (one,), (engine,) = part["engines"], joined["engines"]
    assert engine["weight_bytes"] == 2 * one["weight_bytes"]
    assert engine["activation_bytes"] == one["activation_bytes"]
    assert [item["inputs"] for item in engine["parts"]] == [part["inputs"]] * 2


def test_the_page_is_what_the_results_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, tables(read_graphs(GRAPHS))) == page
