"""Weights are stored once, outside the graphs, and used in the precision in which they are stored."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from engine.bundle.folder import read_manifest
from engine.bundle.graph_spec import Precision
from export.bundle.component_weights import plan_weights
from export.errors import ExportError
from export.quantise.recipes import recipe_for
from export.tracing.assemble import export_graph
from export.tracing.module_graph import TracedModule
from export.tracing.trace import FOLDING_LIMIT_VALUE_COUNT
from export.tracing.verify import verify_against_torch
from export.weights.parameters import ParameterIndex, load_weights, without_weights
from export.weights.shards import Shards

_ROOT = Path(__file__).parent.parent


def _graphs(bundle: Path) -> Iterator[tuple[Path, onnx.ModelProto]]:
    for file in sorted(bundle.glob("*.onnx")):
        yield file, onnx.load(file, load_external_data=False)


def _external(model: onnx.ModelProto) -> dict[str, tuple[str, int, int]]:
    """Location, offset and length of each initialiser that lies outside the graph."""
    found = {}
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entry = {item.key: item.value for item in tensor.external_data}
            found[tensor.name] = (entry["location"], int(entry["offset"]), int(entry["length"]))
    return found


def _byte_counts(*files: Path) -> dict[str, int]:
    """Bytes of each tensor in safetensors files."""
    found = {}
    for file in files:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                found[name] = entry["data_offsets"][1] - entry["data_offsets"][0]
    return found


def test_no_graph_file_holds_a_weight(tiny_bundle: Path) -> None:
    stored = {name for file in (tiny_bundle / "weights").iterdir() for name in _byte_counts(file)}
    for file, model in _graphs(tiny_bundle):
        inline = [item for item in model.graph.initializer if item.data_location != onnx.TensorProto.EXTERNAL]
        # A graph calls a weight by its path from the wrapping module.
        assert not [item.name for item in inline if any(item.name.endswith(name) for name in stored)], file.name
        floats = [item for item in inline if item.data_type == onnx.TensorProto.FLOAT]
        assert all(np.prod(item.dims) <= FOLDING_LIMIT_VALUE_COUNT for item in floats), file.name


def test_every_weight_that_a_graph_points_at_is_in_the_bundle(tiny_bundle: Path) -> None:
    manifest, _ = read_manifest(tiny_bundle)
    locations = set()
    for file, model in _graphs(tiny_bundle):
        for name, (location, offset, length) in _external(model).items():
            locations.add(location)
            assert location in manifest.files, f"{file.name}: {name}"
            assert offset + length <= manifest.files[location].byte_count
    assert locations == {
        "weights/scorer.safetensors",
        "weights/text_encoder.safetensors",
        "weights/transformer.safetensors",
        "weights/transformer_2.safetensors",
        "weights/vae.safetensors",
    }


def test_two_sizes_share_one_copy_of_the_weights(tiny_bundle: Path) -> None:
    by_stage = defaultdict(list)
    for file, model in _graphs(tiny_bundle):
        by_stage[file.name.rsplit("_", 1)[0]].append(_external(model))
    for stage in ("vae_encoder_init", "vae_decoder_step", "transformer_high", "transformer_low"):
        wide, square = by_stage[stage]
        assert wide == square
        assert wide


@pytest.mark.parametrize("component", ["scorer", "text_encoder", "transformer", "transformer_2", "vae"])
def test_each_weight_of_the_checkpoint_is_stored_once(tiny_bundle: Path, component: str) -> None:
    exported = _byte_counts(tiny_bundle / "weights" / f"{component}.safetensors")
    original = _byte_counts(*(tiny_bundle.parent / "checkpoint" / component).glob("*.safetensors"))
    assert {name: exported.get(name) for name in original} == original
    # Tables that the libraries compute and no checkpoint holds.
    assert all(name.endswith(("position_ids", "freqs_cos", "freqs_sin")) for name in exported.keys() - original.keys())


def test_graph_files_tell_nothing_of_the_machine_that_wrote_them(tiny_bundle: Path) -> None:
    for file, _ in _graphs(tiny_bundle):
        content = file.read_bytes()
        for private in (str(_ROOT), str(tiny_bundle.parent), str(Path.home()), "site-packages", ".py", 'File "'):
            assert private.encode() not in content, f"{file.name} names {private}"


def test_everyone_may_read_the_weights(tiny_bundle: Path) -> None:
    """Whoever serves a bundle is often not the one who exported it."""
    assert {file.stat().st_mode & 0o777 for file in (tiny_bundle / "weights").iterdir()} == {0o644}


class _Layers(nn.Module):
    """A weight above the folding limit, small ones, and one that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.wide = nn.Linear(80, 80)
        self.narrow = nn.Linear(80, 4)
        self.again = nn.Linear(80, 80)
        self.again.weight = self.wide.weight
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))

    def forward(self, values: Tensor) -> Tensor:
        """[2, 80] to [2, 4]."""
        return self.narrow(torch.tanh(self.again(torch.tanh(self.wide(values)))))


class _Wrapper(nn.Module):
    """Reaches the same weights by another path, as every exported graph does."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.inner = layers

    def forward(self, values: Tensor) -> Tensor:
        """See ``_Layers``."""
        return self.inner(values)


def _error(file: Path, traced: TracedModule, precision: Precision = "fp32") -> float:
    error = verify_against_torch(file, traced, precision).max_abs_error
    assert error is not None
    return error


def _traced(layers: nn.Module) -> TracedModule:
    values = torch.linspace(-2, 2, 160).view(2, 80)
    return TracedModule(_Wrapper(layers), {"values": values}, ("result",))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_a_checkpoint_inside_the_bundle_is_served_in_place(tmp_path: Path, dtype: torch.dtype) -> None:
    bundle = tmp_path / "bundle"
    folder = bundle / "checkpoint" / "vae"
    folder.mkdir(parents=True)
    exact = _Layers().eval()
    rounded = {name: weight.to(dtype) for name, weight in exact.state_dict().items() if name != "again.weight"}
    save_file(rounded, folder / "model.safetensors")
    layers = _Layers().eval()
    layers.load_state_dict(
        {**rounded, "again.weight": rounded["wide.weight"]}
    )  # upcast, as the checkpoint's loader does
    file = bundle / "layers.onnx"

    planned = plan_weights(Shards.open(folder), "vae", layers, bundle)
    assert (planned.written_byte_count, planned.byte_count) == (0, sum(item.nbytes for item in rounded.values()))
    planned.write(lambda _: None)
    export_graph(_traced(layers), ParameterIndex(layers, planned.open().stored), file)

    assert sorted(path.name for path in bundle.iterdir()) == ["checkpoint", "layers.onnx"]  # nothing was copied
    model = onnx.load(file, load_external_data=False)
    assert {location for location, _, _ in _external(model).values()} == {"checkpoint/vae/model.safetensors"}
    onnx_dtype = {torch.float16: "FLOAT16", torch.bfloat16: "BFLOAT16", torch.float32: "FLOAT"}[dtype]
    external = [item for item in model.graph.initializer if item.data_location == onnx.TensorProto.EXTERNAL]
    assert {onnx.TensorProto.DataType.Name(item.data_type) for item in external} == {onnx_dtype}
    traced = _traced(layers)
    assert _error(file, traced) < 1e-4
    (result,) = onnxruntime.InferenceSession(file).run(None, {"values": traced.inputs["values"].numpy()})
    (unrounded,) = _traced(exact).reference()
    assert (np.abs(result - unrounded.numpy()).max() > 1e-3) == (dtype is not torch.float32)


def test_a_component_is_traced_without_its_weights(tmp_path: Path) -> None:
    """And what is traced without them computes what the layers compute with them."""
    layers = _Layers().eval()
    save_model(layers, str(tmp_path / "model.safetensors"))
    shards = Shards.open(tmp_path)
    empty = without_weights(_Layers)
    assert all(weight.is_meta for weight in empty.parameters())
    file = tmp_path / "layers.onnx"
    values = torch.empty(2, 80, device="meta")
    traced = TracedModule(_Wrapper(empty), {"values": values}, ("result",))
    export_graph(traced, ParameterIndex(empty, shards.weights), file)
    assert _error(file, _traced(layers)) < 1e-4
    load_weights(empty, shards, torch.float32)
    torch.testing.assert_close(dict(empty.named_parameters()), dict(layers.named_parameters()), rtol=0, atol=0)
    assert empty.again.weight is empty.wide.weight


def test_a_precision_that_the_checkpoint_does_not_have_is_written(tmp_path: Path) -> None:
    folder, bundle = tmp_path / "vae", tmp_path / "bundle"
    folder.mkdir()
    layers = _Layers().eval()
    save_model(layers, str(folder / "model.safetensors"))
    half = without_weights(_Layers, torch.float16)
    planned = plan_weights(Shards.open(folder), "vae", half, bundle, recipe=recipe_for("vae", "fp16"))
    assert planned.written_byte_count == planned.byte_count
    planned.write(lambda _: None)
    assert planned.written_byte_count == 0  # it is there now
    stock = planned.open()
    assert [file.relative_to(bundle).as_posix() for file in stock.files] == ["weights/vae.fp16.safetensors"]
    for name, weight in Shards.of_file(stock.files[0]).weights.items():
        torch.testing.assert_close(weight.read(), layers.get_parameter(name).detach().half(), rtol=0, atol=0)
    file = bundle / "layers.onnx"
    traced = TracedModule(_Half(half), {"values": torch.empty(2, 80, device="meta")}, ("result",))
    export_graph(traced, ParameterIndex(half, stock.stored), file)
    assert 1e-5 < _error(file, _traced(layers), "fp16") < 0.2


class _Half(_Wrapper):
    """Takes and gives float32 around layers of half precision."""

    def forward(self, values: Tensor) -> Tensor:
        """See ``_Layers``."""
        return self.inner(values.half()).float()


def test_a_weight_that_is_used_twice_is_stored_once(tmp_path: Path) -> None:
    """Also where the checkpoint stores it under both of its names, as some do."""
    folder, bundle = tmp_path / "layers", tmp_path / "bundle"
    folder.mkdir()
    layers = _Layers()
    save_file({name: weight.detach().clone() for name, weight in layers.state_dict().items()}, folder / "a.safetensors")
    planned = plan_weights(Shards.open(folder), "layers", layers, bundle)
    planned.write(lambda _: None)
    stock = planned.open()
    stored = _byte_counts(*stock.files)
    assert set(stored) == {"wide.weight", "wide.bias", "again.bias", "narrow.weight", "narrow.bias"}
    weights = ParameterIndex(layers, stock.stored)
    assert weights.find(layers.again.weight) == weights.find(layers.wide.weight)
    assert weights.find(layers.again.bias) != weights.find(layers.wide.bias)
    assert weights.find(torch.zeros(3)) is None


def test_a_checkpoint_that_lacks_a_weight(tmp_path: Path) -> None:
    layers = _Layers()
    weights = {name: weight.detach() for name, weight in layers.state_dict().items() if not name.startswith("narrow.w")}
    save_file({name: weight.clone() for name, weight in weights.items()}, tmp_path / "model.safetensors")
    with pytest.raises(ExportError, match=r"_Layers: its files hold no narrow\.weight; download the component again"):
        plan_weights(Shards.open(tmp_path), "layers", layers, tmp_path / "bundle")


def test_a_checkpoint_whose_shapes_are_not_those_of_its_configuration(tmp_path: Path) -> None:
    layers = _Layers()
    save_model(layers, str(tmp_path / "model.safetensors"))
    layers.narrow = nn.Linear(80, 5)
    with pytest.raises(ExportError, match=r"narrow\.weight .* has shape \[4, 80\], config\.json makes it \[5, 80\]"):
        plan_weights(Shards.open(tmp_path), "layers", layers, tmp_path / "bundle")
