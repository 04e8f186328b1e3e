"""Self-attention in FP8: ranges from calibration, the graph's arithmetic against torch's, refusals, the option."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.api.capabilities import Geometry
from export.bundle.build_log import BuildLog, export_context
from export.bundle.component import PreparedComponent, prepare_component
from export.bundle.graph_list import latent_spec, transformer_components
from export.bundle.option_checks import check_options
from export.bundle.plan import ExportPlan
from export.errors import ExportError
from export.options import AttentionOption
from export.quantise.attention import AttentionRanges
from export.quantise.calibrate import calibrate
from export.quantise.calibration import Calibration, load_calibration, save_calibration
from export.quantise.observe import observe
from export.quantise.rewrite_attention import quantise_attention
from export.quantise.samples import generated_pairs
from export.weights.checkpoint import Checkpoint
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoints import TinyModel, _transformer, write_checkpoint
from tests.quantising import Tensors, run

_RANGES = AttentionRanges(query=3.0, key=4.0, value=8.0)
_FACTOR = 0.5
# Two heads of four features; the weight's name as the checkpoint has it is set afterwards.
_BODY = """
    heads = Constant<value_ints=[1,6,2,4]>()
    qr = Reshape(x, heads) qh = Transpose<perm=[0,2,1,3]>(qr) qs = Mul(qh, c)
    kh = Transpose<perm=[0,2,3,1]>(qr) ks = Mul(kh, c)
    vt = Transpose<perm=[1,0]>(w) vm = MatMul(x, vt) vb = Add(vm, b)
    vr = Reshape(vb, heads) vh = Transpose<perm=[0,2,1,3]>(vr)
    s = MatMul(qs, ks) p = Softmax<axis=-1>(s) y = MatMul(p, vh)
"""


def _graph(body: str = _BODY, weight_name: str = "blocks.3.attn1.to_v.weight") -> ir.Model:
    model = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["" : 20]> '
        f"g (float[1,6,8] x, float[8,8] w, float[8] b, float[1] c) => (float[1,2,6,4] y) {{{body}}}"
    )
    values = {"w": _weight().numpy(), "b": np.zeros(8, np.float32), "c": np.array([_FACTOR], np.float32)}
    for value in list(model.graph.inputs)[1:]:
        model.graph.inputs.remove(value)
        value.const_value = ir.Tensor(values[str(value.name)])
        if value.name == "w":
            value.name = weight_name
        model.graph.register_initializer(value)
    for node in model.graph:  # as the tracer gives every value a type
        for output in node.outputs:
            output.dtype = output.dtype or ir.DataType.FLOAT
    return model


def _weight() -> Tensor:
    return torch.randn(8, 8, generator=torch.Generator().manual_seed(1))


def _rounded(values: Tensor, largest: float) -> Tensor:
    scale = largest / 448
    return (values / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale


def test_the_graph_computes_in_four_rounded_factors(tmp_path: Path) -> None:
    model = _graph()
    assert quantise_attention(model, {"blocks.3.attn1": _RANGES}) == 1
    ir.save(model, tmp_path / "attention.onnx")
    inputs = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(2))
    heads = inputs.unflatten(2, (2, 4)).transpose(1, 2)
    value = (inputs @ _weight().T).unflatten(2, (2, 4)).transpose(1, 2)
    scores = _rounded(heads * _FACTOR, 3.0 * _FACTOR) @ _rounded(heads * _FACTOR, 4.0 * _FACTOR).transpose(-1, -2)
    expected = _rounded(torch.softmax(scores, -1), 1.0) @ _rounded(value, 8.0)
    actual = run(tmp_path / "attention.onnx", {"x": inputs.numpy()})
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    np.testing.assert_allclose(run(tmp_path / "attention.onnx", {"x": inputs.numpy()}, exact=False), actual, atol=1e-5)
    exact = torch.softmax(heads @ heads.transpose(-1, -2) * _FACTOR**2, -1) @ value
    assert 1e-3 < float((expected - exact).norm() / exact.norm()) < 0.2


def test_attention_with_a_bias_stays_as_it_is() -> None:
    body = _BODY.replace("p = Softmax<axis=-1>(s)", "o = Add(s, c) p = Softmax<axis=-1>(o)")
    model = _graph(body, "blocks.3.attn2.to_v.weight")
    before = [node.op_type for node in model.graph]
    assert quantise_attention(model, {"blocks.3.attn1": _RANGES}) == 0
    assert [node.op_type for node in model.graph] == before


def test_self_attention_in_a_form_that_is_not_known_is_no_silent_half_precision() -> None:
    body = _BODY.replace("p = Softmax<axis=-1>(s)", "o = Add(s, c) p = Softmax<axis=-1>(o)")
    with pytest.raises(RuntimeError, match=r"computes blocks\.3\.attn1 in another form than MatMul, Softmax, MatMul"):
        quantise_attention(_graph(body), {"blocks.3.attn1": _RANGES})


def test_attention_without_a_range_is_refused() -> None:
    with pytest.raises(ExportError, match=r"the calibration does not have blocks\.3\.attn1; calibrate this checkpoint"):
        quantise_attention(_graph(), {"blocks.2.attn1": _RANGES})
    for fault in (0.0, math.nan):
        with pytest.raises(ExportError, match=r"a factor of blocks\.3\.attn1 was always zero .* other pictures"):
            quantise_attention(_graph(), {"blocks.3.attn1": AttentionRanges(3.0, 4.0, fault)})


def test_ranges_hold_for_rotated_queries_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _transformer(TinyModel(), z_dim=16)
    seen: list[AttentionRanges] = []
    attend = functional.scaled_dot_product_attention

    def watch(query: Tensor, key: Tensor, value: Tensor, *rest: object, **options: object) -> Tensor:
        seen.append(AttentionRanges(*(float(item.abs().max()) for item in (query, key, value))))
        return attend(query, key, value, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watch)
    with torch.device("meta"):
        absent = _transformer(TinyModel(), z_dim=16)
    absent.rope = model.rope  # no weights
    sample = {
        "hidden_states": torch.randn(1, 36, 3, 6, 8, generator=torch.Generator().manual_seed(3)),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(4)),
    }
    attention = observe(absent, Tensors(dict(model.state_dict())), [sample]).attention
    assert list(attention) == ["blocks.0.attn1", "blocks.1.attn1"]
    for ranges, actual in zip(attention.values(), seen[::2], strict=True):  # every other one is cross-attention
        assert ranges.value == actual.value
        for range_, largest in ((ranges.query, actual.query), (ranges.key, actual.key)):
            assert largest <= range_ * (1 + 1e-6)
            assert range_ <= largest * math.sqrt(2)


def test_ranges_are_kept_and_files_of_earlier_versions_have_none(tmp_path: Path) -> None:
    kept = Calibration("digest", 1, {"a": 1.0}, attention={"blocks.0.attn1": _RANGES})
    save_calibration(tmp_path, "transformer", kept, {})
    assert load_calibration(tmp_path, "transformer", "digest").attention == {"blocks.0.attn1": _RANGES}
    content = json.loads((tmp_path / "transformer.json").read_text())
    content["attention"]["blocks.0.attn1"].pop("key")
    (tmp_path / "transformer.json").write_text(json.dumps(content))
    with pytest.raises(ExportError, match=r"transformer\.json: is not a calibration \('key'\); run"):
        load_calibration(tmp_path, "transformer", "digest")
    del content["attention"]
    (tmp_path / "transformer.json").write_text(json.dumps(content))
    assert load_calibration(tmp_path, "transformer", "digest").attention == {}


_GEOMETRY = Geometry(64, 32, 5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("attention") / "checkpoint"
    return open_checkpoint(write_checkpoint(folder, TinyModel(is_5b=True, layer_count=1)))


@pytest.fixture(scope="module")
def calibration(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ranges")
    calibrate(checkpoint, out, generated_pairs(_GEOMETRY)[:1], _GEOMETRY, samples_per_pair=1)
    return out


def _prepared(plan: ExportPlan) -> PreparedComponent:
    check_options(plan)
    (component,) = transformer_components(plan.checkpoint, plan.geometries, latent_spec(plan.checkpoint.vae()))
    return prepare_component(plan, component, BuildLog(plan.out, export_context(plan.verify), is_dry_run=True))


def _plan(
    checkpoint: Checkpoint, calibration: Path, out: Path, attention: AttentionOption, precision: str = "fp8"
) -> ExportPlan:
    return ExportPlan(
        checkpoint=checkpoint,
        out=out,
        geometries=(_GEOMETRY,),
        defaults=FAMILY_DEFAULTS[checkpoint.family],
        name="tiny",
        precision=precision,  # type: ignore[arg-type]
        calibration=calibration,
        attention=attention,
    )


def test_the_option_chooses(checkpoint: Checkpoint, calibration: Path, tmp_path: Path) -> None:
    prepared = _prepared(_plan(checkpoint, calibration, tmp_path, "fp8"))
    assert list(prepared.attention) == ["blocks.0.attn1"]
    assert prepared.notes == ("transformer: self-attention in FP8",)
    half = _prepared(_plan(checkpoint, calibration, tmp_path, "half"))
    assert (half.attention, half.notes) == ({}, ())
    int8 = _prepared(_plan(checkpoint, calibration, tmp_path, "auto", "int8"))
    assert (int8.attention, int8.notes) == ({}, ())


def test_other_precisions_do_not_have_it(checkpoint: Checkpoint, calibration: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"--attention fp8: is a part of --precision fp8, not of int4; give"):
        check_options(_plan(checkpoint, calibration, tmp_path, "fp8", "int4"))


def test_a_calibration_without_attention_is_told(checkpoint: Checkpoint, calibration: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    (older / "transformer.safetensors").symlink_to(calibration / "transformer.safetensors")
    content = json.loads((calibration / "transformer.json").read_text())
    del content["attention"]
    (older / "transformer.json").write_text(json.dumps(content))
    with pytest.raises(ExportError, match=r"--attention fp8: the calibration of transformer was made before .* again"):
        _prepared(_plan(checkpoint, older, tmp_path / "out", "fp8"))
    assert _prepared(_plan(checkpoint, older, tmp_path / "out", "half")).notes == ()
