"""One tiny model in every layout that people have: the same weights, configurations, settings and frames."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from numpy.typing import NDArray
from PIL import Image as Pillow
from safetensors.torch import save_file

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Family, Geometry
from engine.api.job import Job, SamplingSpec
from engine.api.media import Image
from engine.bundle.graph_spec import Precision
from export.bundle.component_weights import plan_weights
from export.bundle.exporter import export_bundle
from export.bundle.plan import ExportPlan
from export.errors import ExportError
from export.options import ComponentOptions
from export.quantise.recipes import recipe_for
from export.quantise.samples import TransformerSamples, generated_pairs
from export.weights.checkpoint import Checkpoint
from export.weights.layouts.opening import open_checkpoint
from export.weights.names.latent_statistics import LATENT_STATISTICS
from export.weights.names.layout import name_table
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoint_layouts import component_state, fp8_scaled, renamed, write_comfyui, write_official
from tests.checkpoints import TinyModel, write_checkpoint
from tests.gguf_files import finite_noise, write_gguf
from tests.recorded_colours import record_colours

# No shape shows the size of a head, so the tiny transformer has the official one.
_A14B = TinyModel(head_count=1, head_size=128, ffn_size=32, layer_count=1)
_5B = TinyModel(is_5b=True, head_count=1, head_size=128, ffn_size=32, layer_count=1)
_GEOMETRY = Geometry(48, 48, 5)


def _write(folder: Path, model: TinyModel) -> Path:
    """A Diffusers folder whose VAE states the official statistics of latents, which other layouts leave out."""
    write_checkpoint(folder, model)
    file = folder / "vae" / "config.json"
    configuration = json.loads(file.read_text())
    statistics = LATENT_STATISTICS[configuration["z_dim"]]
    file.write_text(
        json.dumps({**configuration, "latents_mean": list(statistics.mean), "latents_std": list(statistics.std)})
    )
    return folder


@pytest.fixture(scope="module")
def a14b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("layouts") / "diffusers", _A14B)


@pytest.fixture(scope="module")
def ti2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("layouts-5b") / "diffusers", _5B)


def _assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    assert found.settings == expected.settings
    assert list(found.components) == list(expected.components)
    for name in expected.components:
        ours, theirs = found.shards(name), expected.shards(name)
        assert set(ours.names()) == set(theirs.names())
        for weight in theirs.names():
            torch.testing.assert_close(ours.read(weight), theirs.read(weight), rtol=0, atol=0, msg=f"{name} {weight}")
    for name in expected.transformer_names:
        assert _configuration(found.transformer(name)) == _configuration(expected.transformer(name))
    assert _configuration(found.vae()) == _configuration(expected.vae())
    assert _text_configuration(found) == _text_configuration(expected)
    sentence = "a white cat jumps 一只白色的猫"
    assert found.tokenizer()(sentence).input_ids == expected.tokenizer()(sentence).input_ids


def _text_configuration(checkpoint: Checkpoint) -> dict[str, object]:
    ignored = {"architectures", "dtype", "dropout_rate", "transformers_version"}
    return {key: value for key, value in checkpoint.text_encoder().config.to_dict().items() if key not in ignored}


def _configuration(model: torch.nn.Module) -> dict[str, object]:
    ignored = {"_name_or_path", "_diffusers_version", "_use_default_values", "_class_name"}
    return {key: value for key, value in dict(model.config).items() if key not in ignored}  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [False, True], ids=["without index", "with index"])
def test_the_official_layout(a14b: Path, tmp_path: Path, index: bool) -> None:
    found = open_checkpoint(write_official(a14b, tmp_path / "Wan2.2-I2V-A14B", index=index))
    _assert_same(found, open_checkpoint(a14b))
    assert (found.name, found.family) == ("Wan2.2-I2V-A14B", Family.WAN22_I2V_A14B)
    assert found.assumed[0].startswith("scheduler: UniPC of order 2, shift 5, boundary 0.9 (of Wan2.2-I2V-A14B")


def test_the_official_layout_of_the_5b(ti2v: Path, tmp_path: Path) -> None:
    found = open_checkpoint(write_official(ti2v, tmp_path / "Wan2.2-TI2V-5B", is_5b=True, index=True))
    _assert_same(found, open_checkpoint(ti2v))
    assert found.family is Family.WAN22_TI2V_5B


@pytest.mark.parametrize(
    "prefix", ["", "model.diffusion_model.", "diffusion_model.", "model.", "module.", "transformer."]
)
def test_single_files_of_comfyui(a14b: Path, tmp_path: Path, prefix: str) -> None:
    folder = write_comfyui(a14b, tmp_path / "models", prefix=prefix)
    found = open_checkpoint(folder, ComponentOptions(tokenizer=a14b / "tokenizer"))
    _assert_same(found, open_checkpoint(a14b))
    assert found.name == "Wan2.2-I2V-A14B"


def test_single_files_of_comfyui_of_the_5b(ti2v: Path, tmp_path: Path) -> None:
    folder = write_comfyui(ti2v, tmp_path / "models", is_5b=True)
    _assert_same(open_checkpoint(folder, ComponentOptions(tokenizer=ti2v / "tokenizer")), open_checkpoint(ti2v))


def test_files_one_by_one(a14b: Path, tmp_path: Path) -> None:
    models = write_comfyui(a14b, tmp_path / "models")
    options = ComponentOptions(
        models / "diffusion_models" / "wan2.2_i2v_high_noise_14B_fp16.safetensors",
        models / "diffusion_models" / "wan2.2_i2v_low_noise_14B_fp16.safetensors",
        models / "text_encoders" / "umt5_xxl_fp16.safetensors",
        models / "vae" / "wan_2.1_vae.safetensors",
        a14b / "tokenizer" / "tokenizer.json",
    )
    _assert_same(open_checkpoint(None, options), open_checkpoint(a14b))


def test_a_given_transformer_decides_the_family_of_a_folder_of_both(a14b: Path, ti2v: Path, tmp_path: Path) -> None:
    models = write_comfyui(a14b, tmp_path / "models")
    shutil.copytree(write_comfyui(ti2v, tmp_path / "5b", is_5b=True), models, dirs_exist_ok=True)
    files = models / "diffusion_models"
    with pytest.raises(ExportError, match=r"holds transformers of wan22-i2v-a14b and wan22-ti2v-5b; give the files of"):
        open_checkpoint(models)
    single = open_checkpoint(models, ComponentOptions(files / "wan2.2_ti2v_5B_fp16.safetensors"))
    assert (single.family, single.transformer_names) == (Family.WAN22_TI2V_5B, ("transformer",))
    assert single.components["vae"].path.name == "wan2.2_vae.safetensors"
    experts = open_checkpoint(models, ComponentOptions(files / "wan2.2_i2v_high_noise_14B_fp16.safetensors"))
    assert experts.family is Family.WAN22_I2V_A14B
    assert [part.path.name for part in experts.components.values()] == [
        "wan2.2_i2v_high_noise_14B_fp16.safetensors",
        "wan2.2_i2v_low_noise_14B_fp16.safetensors",
        "umt5_xxl_fp16.safetensors",
        "wan_2.1_vae.safetensors",
    ]


def test_single_files_in_place_of_components_of_a_folder(a14b: Path, tmp_path: Path) -> None:
    """Also where they lie inside the Diffusers folder under their own names."""
    models = write_comfyui(a14b, tmp_path / "models")
    high = models / "diffusion_models" / "wan2.2_i2v_high_noise_14B_fp16.safetensors"
    found = open_checkpoint(a14b, ComponentOptions(transformer_high=high))
    _assert_same(found, open_checkpoint(a14b))
    assert found.digest() != open_checkpoint(a14b).digest()
    mixed = tmp_path / "mixed"
    shutil.copytree(a14b, mixed)
    (mixed / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    shutil.copy(high, mixed / "transformer" / high.name)
    _assert_same(open_checkpoint(mixed), open_checkpoint(a14b))


def test_a_single_file_beside_a_folder_has_the_configuration_of_the_folder(tmp_path: Path) -> None:
    """Heads of 12 instead of 128, which no shape shows."""
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TinyModel(layer_count=1))
    file = tmp_path / "high.safetensors"
    save_file(renamed(component_state(checkpoint, "transformer"), "transformer"), file)
    found = open_checkpoint(checkpoint, ComponentOptions(transformer_high=file))
    _assert_same(found, open_checkpoint(checkpoint))
    assert found.transformer("transformer").config.attention_head_dim == 12


def test_pickled_weights_of_a_diffusers_folder(a14b: Path, tmp_path: Path) -> None:
    folder = tmp_path / "diffusers"
    shutil.copytree(a14b, folder)
    torch.save(component_state(a14b, "transformer"), folder / "transformer" / "diffusion_pytorch_model.bin")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    _assert_same(open_checkpoint(folder), open_checkpoint(a14b))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_types_of_single_files_are_kept(a14b: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write_comfyui(
        a14b, tmp_path / "models", transform=lambda state: {name: item.to(dtype) for name, item in state.items()}
    )
    found = open_checkpoint(folder, ComponentOptions(tokenizer=a14b / "tokenizer")).shards("transformer")
    exact = component_state(a14b, "transformer")
    for name in found.names():
        assert found.dtype(name) is dtype
        torch.testing.assert_close(found.read(name), exact[name].to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("scale_name", ["scale_weight", "weight_scale", "weight.scale"])
@pytest.mark.parametrize("by_output", [False, True], ids=["one scale", "one for each output"])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_8_bit_floats_with_scales_are_dequantised_exactly(
    a14b: Path, tmp_path: Path, scale_name: str, by_output: bool, dtype: torch.dtype
) -> None:
    stored, exact = fp8_scaled(
        component_state(a14b, "transformer"), scale_name=scale_name, by_output=by_output, dtype=dtype
    )
    file = _save_scaled(stored, tmp_path / "high.safetensors")
    shards = open_checkpoint(a14b, ComponentOptions(transformer_high=file)).shards("transformer")
    assert sum(shards.dtype(name) is torch.float32 and stored[name].dtype is dtype for name in shards.names()) == 10
    for name in shards.names():
        torch.testing.assert_close(shards.read(name), exact[name], rtol=0, atol=0)


@pytest.mark.parametrize("type_name", ["Q8_0", "Q4_K", "Q6_K", "BF16"])
def test_gguf_files_of_transformers_are_dequantised_exactly(tmp_path: Path, type_name: str) -> None:
    """As the common converter writes them: official names, and only the matrices of blocks quantised."""
    wide = TinyModel(head_count=2, head_size=128, ffn_size=512, layer_count=1)  # the types have blocks of 256
    checkpoint = write_checkpoint(tmp_path / "checkpoint", wide)
    exact = component_state(checkpoint, "transformer")
    official = name_table("transformer", "official")
    stored: dict[str, tuple[NDArray[np.generic], str]] = {}
    expected = dict(exact)
    for name, weight in exact.items():
        is_wide = weight.dim() == 2 and "blocks." in name and weight.shape[1] % 256 == 0
        chosen = type_name if is_wide else "F32"
        values = finite_noise(chosen, tuple(weight.shape)) if is_wide else weight.numpy()
        stored[str(official.from_diffusers(name))] = values, chosen
        if is_wide:
            expected[name] = torch.from_numpy(gguf.dequantize(values, GGMLQuantizationType[type_name]))
    assert sum(kind == type_name for _, kind in stored.values()) == 10
    file = write_gguf(tmp_path / "Wan2.2-I2V-A14B-HighNoise.gguf", stored)
    shards = open_checkpoint(checkpoint, ComponentOptions(transformer_high=file)).shards("transformer")
    assert set(shards.names()) == set(expected)
    for name in shards.names():
        torch.testing.assert_close(shards.read(name).float(), expected[name], rtol=0, atol=0)


def test_calibration_draws_the_same_samples_from_every_layout(a14b: Path, tmp_path: Path) -> None:
    official = open_checkpoint(write_official(a14b, tmp_path / "official"))
    geometry = Geometry(32, 32, 5)
    drawn = [
        next(
            TransformerSamples(checkpoint, generated_pairs(geometry)[:1], geometry).for_component(
                "transformer", 4, 5.0, 1
            )
        )
        for checkpoint in (official, open_checkpoint(a14b))
    ]
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=0)
    assert drawn[0]["hidden_states"].shape == (2, 36, 2, 4, 4)


def _save_scaled(stored: dict[str, torch.Tensor], file: Path) -> Path:
    """Writes a state of ``fp8_scaled`` with the official names and ComfyUI's marker."""
    scales = {name: stored[name] for name in stored if "scale" in name.split(".", 3)[-1] and "table" not in name}
    state = renamed({name: item for name, item in stored.items() if name not in scales}, "transformer")
    for name, scale in scales.items():
        module = next(part for part in (name.removesuffix(f".{ending}") for ending in _SCALES) if part != name)
        weight = next(iter(renamed({f"{module}.weight": scale}, "transformer")))
        state[weight.removesuffix("weight") + name.removeprefix(f"{module}.")] = scale.clone()
    save_file({**state, "scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, file)
    return file


_SCALES = ("scale_weight", "weight_scale", "weight.scale")


def test_weights_of_the_official_layout_are_written_to_the_same_bytes(a14b: Path, tmp_path: Path) -> None:
    official = open_checkpoint(write_official(a14b, tmp_path / "official"))
    assert _written(official, tmp_path / "of official") == _written(open_checkpoint(a14b), tmp_path / "of diffusers")


def _written(checkpoint: Checkpoint, out: Path) -> dict[str, bytes]:
    """The weight files of a bundle in INT4 with the text encoder in INT8 and the VAE in float16, by component."""
    precisions: dict[str, Precision] = {"transformer": "int4", "text_encoder": "int8", "vae": "fp16"}
    files = {}
    for name, part in checkpoint.components.items():
        recipe = recipe_for(part.kind, precisions[part.kind])
        model: Any
        match part.kind:
            case "vae":
                model = checkpoint.vae(recipe.dtype)
            case "text_encoder":
                model = checkpoint.text_encoder(recipe.dtype)
            case "transformer":
                model = checkpoint.transformer(name, recipe.dtype)
        planned = plan_weights(checkpoint.shards(name), name, model, out, recipe=recipe)
        planned.write(lambda _: None)
        files[name] = planned.file.read_bytes()
    return files


@pytest.mark.walk
def test_bundles_of_both_layouts_make_the_same_colours(
    a14b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = write_official(a14b, tmp_path / "official")
    expected = _colours(open_checkpoint(a14b), tmp_path / "of diffusers", monkeypatch)
    found = _colours(open_checkpoint(official), tmp_path / "of official", monkeypatch)
    assert float(expected.std()) > 0.02  # a grey clip would prove nothing
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.walk
def test_a_bundle_of_8_bit_single_files_makes_the_colours_of_the_dequantised_weights(
    a14b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dequantised = tmp_path / "dequantised"
    shutil.copytree(a14b, dequantised)
    files = []
    for component in ("transformer", "transformer_2"):
        stored, exact = fp8_scaled(component_state(a14b, component))
        files.append(_save_scaled(stored, tmp_path / f"{component}.safetensors"))
        save_file(exact, dequantised / component / "diffusion_pytorch_model.safetensors")
    scaled = open_checkpoint(a14b, ComponentOptions(*files))
    expected = _colours(open_checkpoint(dequantised), tmp_path / "of dequantised", monkeypatch)
    np.testing.assert_array_equal(_colours(scaled, tmp_path / "of scaled", monkeypatch), expected)


def _colours(checkpoint: Checkpoint, out: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    """Exports a bundle and returns the colours of one clip, [5, 48, 48, 3]."""
    plan = ExportPlan(checkpoint, out, (_GEOMETRY,), FAMILY_DEFAULTS[checkpoint.family], "tiny", verify="never")
    export_bundle(plan, lambda _: None)
    picture = io.BytesIO()
    draw = np.random.default_rng(3)
    Pillow.fromarray(draw.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(picture, "PNG")
    colours = record_colours(monkeypatch)
    with contextlib.closing(open_engine(out)) as engine:
        job = engine.prepare(Job(Image(picture.getvalue()), "a white cat jumps", sampling=SamplingSpec(2, seed=7)))
        for _ in engine.generate(job, CancelFlag()):
            pass
    return np.concatenate(colours)
