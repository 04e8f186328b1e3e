"""Checkpoints that cannot be exported: one sentence with file, fault and remedy, from dry run and export."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from export.__main__ import main
from export.weights.quantised_forms import UNREADABLE_FORMS
from scripts.docs_tables import DOCUMENTATION, updated
from tests.checkpoint_layouts import State, fp8_scaled, renamed, write_official
from tests.checkpoints import TinyModel, write_checkpoint
from tests.damaged_checkpoints import (
    QUERY,
    SCORER,
    SECOND,
    TEXT_ENCODER,
    TRANSFORMER,
    VAE,
    Change,
    all_of,
    as_gguf,
    copied,
    text_to_video,
    with_added,
    with_json,
    with_stored_type,
    with_tensors,
    with_value,
    without_scale,
)

_WANTED = "give an expert of Wan2.2-I2V-A14B or the transformer of Wan2.2-TI2V-5B"
_T2V = f"is text-to-video, which takes no picture (its 16 input channels are those of the clip); {_WANTED}"
_FORMS = "give the file in bf16, fp16, fp32, fp8 scaled or GGUF; the exporter quantises by itself (--precision)"
_NAN = (
    "that are infinite or not a number; the file is damaged or was merged wrongly: download the file again or take "
    "another"
)
_INDEX = "model_index.json"
_SCHEDULER = "scheduler/scheduler_config.json"
_OWN_SCHEDULER = "give the scheduler of the Wan2.2 checkpoint"
_FAMILIES = "give Wan2.2-I2V-A14B or Wan2.2-TI2V-5B"
_U8 = torch.uint8


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = TinyModel(head_count=1, head_size=128, ffn_size=32, layer_count=1)
    return write_checkpoint(tmp_path_factory.mktemp("refusals") / "whole", model, scorer=True)


@pytest.fixture
def checkpoint(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "checkpoint")


def refused(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], *options: str, ways: Sequence[str] = ("--dry-run", "")
) -> str:
    """The sentence, which must be the same from the dry run and from the export; nothing is written."""
    said = set()
    for way in ways:
        out = checkpoint.parent / "bundle"
        arguments = [str(checkpoint), "--out", str(out), "--size", "48x48", "--frames", "5", *options]
        assert main([*arguments, *([way] if way else [])]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("export: ")
        assert sum(line.startswith("export: ") for line in lines) == 1
        assert not out.exists() or not any(out.iterdir())
        said.add(lines[-1].removeprefix("export: "))
    (sentence,) = said
    return sentence


def accepted(checkpoint: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The plan that a dry run prints."""
    out = checkpoint.parent / "bundle"
    assert main([str(checkpoint), "--out", str(out), "--size", "48x48", "--frames", "5", "--dry-run", *options]) == 0
    return capsys.readouterr().out


_OTHER_FAMILIES: dict[str, tuple[Change, str]] = {
    "text-to-video": (
        all_of(
            with_json(_INDEX, _class_name="WanPipeline", boundary_ratio=0.875),
            text_to_video(),
            text_to_video("transformer_2"),
        ),
        f"{{}}/transformer {_T2V}",
    ),
    "one expert of text-to-video": (text_to_video("transformer_2"), f"{{}}/transformer_2 {_T2V}"),
    "its configuration alone": (
        with_json("transformer/config.json", in_channels=16),
        f"{{}}/transformer/config.json {_T2V}",
    ),
    "its weights alone": (
        with_tensors(
            lambda state: {**state, "patch_embedding.weight": state["patch_embedding.weight"][:, :16]}, TRANSFORMER
        ),
        f"{{}}/transformer {_T2V}",
    ),
    "Wan2.1 text-to-video": (
        with_json(_INDEX, _class_name="WanPipeline", transformer_2=None, boundary_ratio=None),
        f"{{}}/{_INDEX} is that of text-to-video, which takes no picture; {_FAMILIES}",
    ),
    "Wan2.1 image-to-video": (
        with_json(_INDEX, transformer_2=None, boundary_ratio=None, image_encoder=["transformers", "CLIPVisionModel"]),
        f"{{}}/{_INDEX} is that of Wan2.1 image-to-video, which has a CLIP image encoder; {_FAMILIES}",
    ),
    "VACE": (
        with_json(_INDEX, _class_name="WanVACEPipeline"),
        f"{{}}/{_INDEX} names WanVACEPipeline, not WanImageToVideoPipeline or WanPipeline; {_FAMILIES}",
    ),
    "a transformer of VACE": (
        with_json("transformer/config.json", _class_name="WanVACETransformer3DModel"),
        f"{{}}/transformer/config.json is VACE, which edits clips by control inputs; {_WANTED}",
    ),
    "a text encoder as transformer": (
        copied(TEXT_ENCODER, TRANSFORMER),
        f"{{}}/transformer is a T5 text encoder; {_WANTED}",
    ),
    "a transformer as VAE": (
        copied(TRANSFORMER, VAE),
        "{}/vae is not a Wan VAE but a Wan transformer; download the component again",
    ),
}


@pytest.mark.parametrize("case", _OTHER_FAMILIES)
def test_another_family_is_named(checkpoint: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    change, sentence = _OTHER_FAMILIES[case]
    change(checkpoint)
    assert refused(checkpoint, capsys) == sentence.format(checkpoint)


@pytest.mark.parametrize("is_single", [False, True], ids=["official folder", "ComfyUI's folder"])
def test_text_to_video_in_other_layouts(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_single: bool
) -> None:
    all_of(text_to_video(), text_to_video("transformer_2"))(checkpoint)
    if is_single:
        high = tmp_path / "wan2.2_t2v_high_noise_14B.safetensors"
        with_tensors(lambda state: renamed(state, "transformer"))(checkpoint)
        shutil.copy(checkpoint / TRANSFORMER, high)
        said = refused(checkpoint, capsys, "--transformer-high", str(high))
        assert said == f"--transformer-high {high} {_T2V}"
    else:
        official = write_official(checkpoint, tmp_path / "Wan2.2-T2V-A14B")
        assert refused(official, capsys) == f"{official / 'high_noise_model'} {_T2V}"


def _linear(**tensors: torch.Tensor) -> Change:
    """Tensors of another quantiser beside or in place of the weight of one linear; ``__`` stands for a dot."""
    named = {f"{QUERY}.{name.replace('__', '.')}": item for name, item in tensors.items()}

    def changed(state: State) -> State:
        return {**{name: item for name, item in state.items() if name != f"{QUERY}.weight"}, **named}

    return with_tensors(changed)


_E4M3 = torch.zeros(128, 128, dtype=torch.float8_e4m3fn)
QUANTISED: dict[str, tuple[Change, str]] = {
    "bitsandbytes in 4 bits (NF4, FP4)": (
        _linear(
            weight=torch.zeros(8192, 1, dtype=_U8),
            weight__absmax=torch.zeros(257, dtype=_U8),
            weight__quant_map=torch.zeros(16),
            weight__quant_state__bitsandbytes__nf4=torch.zeros(80, dtype=_U8),
        ),
        "weight.quant_map",
    ),
    "bitsandbytes in 8 bits": (
        _linear(weight=torch.zeros(128, 128, dtype=torch.int8), SCB=torch.zeros(128)),
        "SCB",
    ),
    "GPTQ or AWQ": (
        _linear(qweight=torch.zeros(16, 128, dtype=torch.int32), qzeros=torch.zeros(1, 16, dtype=torch.int32)),
        "qweight",
    ),
    "SVDQuant (Nunchaku)": (
        _linear(qweight=torch.zeros(128, 64, dtype=torch.int8), proj_down=torch.zeros(128, 4)),
        "proj_down",
    ),
    "quanto": (_linear(weight___data=torch.zeros(128, 128, dtype=torch.int8)), "weight._data"),
    "NVFP4": (_linear(weight=torch.zeros(128, 64, dtype=_U8), weight_scale_2=torch.zeros(1)), "weight_scale_2"),
    "FP8 with scales of blocks": (_linear(weight=_E4M3, weight_scale_inv=torch.zeros(1, 1)), "weight_scale_inv"),
    "compressed-tensors with packed integers": (
        _linear(weight_packed=torch.zeros(128, 16, dtype=torch.int32)),
        "weight_packed",
    ),
    "integers with zero points": (
        _linear(weight=torch.zeros(128, 128, dtype=torch.int8), weight_zero_point=torch.zeros(1)),
        "weight_zero_point",
    ),
    "HQQ": (_linear(W_q=torch.zeros(128, 64, dtype=_U8)), "W_q"),
}


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    page = (DOCUMENTATION / "inputs.md").read_text(encoding="utf-8")
    assert page == updated("inputs.md", page), "run python -m scripts.docs_tables"


def test_every_form_that_the_page_refuses_is_tried() -> None:
    assert set(QUANTISED) == {name for _, name in UNREADABLE_FORMS}


@pytest.mark.parametrize("form", QUANTISED)
def test_weights_of_other_quantisers_are_named(checkpoint: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    change, ending = QUANTISED[form]
    change(checkpoint)
    assert refused(checkpoint, capsys) == (
        f"{checkpoint / 'transformer'} is quantised in the form of {form} ({QUERY}.{ending} in "
        f"diffusion_pytorch_model.safetensors), which cannot be read; {_FORMS}"
    )


@pytest.mark.parametrize("component", ["transformer", "transformer_2", "vae", "text_encoder", "scorer"])
@pytest.mark.parametrize("method", ["bitsandbytes", "gguf"])
def test_a_configuration_of_quantised_weights(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], component: str, method: str
) -> None:
    file = checkpoint / component / "config.json"
    with_json(f"{component}/config.json", quantization_config={"quant_method": method, "load_in_4bit": True})(
        checkpoint
    )
    assert refused(checkpoint, capsys) == (
        f"{file}: the weights are quantised with {method} (quantization_config), which cannot be read; give the "
        "component in bf16, fp16 or fp32, the exporter quantises by itself (--precision)"
    )


def test_a_form_of_comfyui_that_is_no_8_bit_form(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    form = torch.tensor(list(b'{"format": "nvfp4"}'), dtype=_U8)
    _linear(weight=torch.zeros(128, 64, dtype=_U8), comfy_quant=form)(checkpoint)
    said = refused(checkpoint, capsys)
    assert said.startswith(f"{checkpoint / 'transformer'} is quantised in the form 'nvfp4' of ComfyUI ({QUERY}.comfy_")
    assert said.endswith(_FORMS)


@pytest.mark.parametrize("type_name", ["F8_E8M0", "F4", "F6_E2M3", "F8_E4M3FNUZ", "U16", "C64"])
def test_a_type_that_holds_no_weights(checkpoint: Path, capsys: pytest.CaptureFixture[str], type_name: str) -> None:
    with_stored_type(type_name)(checkpoint)
    assert refused(checkpoint, capsys) == (
        f"{checkpoint / TRANSFORMER}: {QUERY}.weight is stored as {type_name}, which the exporter cannot read; give "
        "the file in BF16, F16, F32 or in F8_E4M3 with its scales"
    )


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (torch.int8, "I8 without its scale"),
        (torch.uint8, "U8, which is no form of weights that can be read"),
        (torch.bool, "BOOL, which is no form of weights that can be read"),
        (torch.int64, "I64, which is no form of weights that can be read"),
    ],
    ids=str,
)
def test_integers_without_scales(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], dtype: torch.dtype, words: str
) -> None:
    with_added({f"{QUERY}.weight": torch.zeros(128, 128, dtype=dtype)})(checkpoint)
    assert refused(checkpoint, capsys) == (
        f"{checkpoint / 'transformer'}: {QUERY}.weight in diffusion_pytorch_model.safetensors is stored as {words}; "
        f"{_FORMS}"
    )


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=["F8_E4M3", "F8_E5M2"])
def test_8_bit_floats_without_any_scale_are_accepted_and_told(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], dtype: torch.dtype
) -> None:
    without_scale(dtype, keep_others=False)(checkpoint)
    name = {torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"}[dtype]
    assert f"{checkpoint / 'transformer'}: Diffusers' names, F32, {name} without scales" in accepted(checkpoint, capsys)


def test_8_bit_floats_of_which_one_lacks_its_scale(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without_scale(torch.float8_e4m3fn, keep_others=True)(checkpoint)
    assert refused(checkpoint, capsys) == (
        f"{checkpoint / 'transformer'}: {QUERY}.weight in diffusion_pytorch_model.safetensors is stored as F8_E4M3 "
        f"without its scale; {_FORMS}"
    )


def test_scales_of_blocks_under_the_name_of_plain_ones(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _linear(weight=_E4M3, weight_scale=torch.ones(2, 2))(checkpoint)
    assert refused(checkpoint, capsys) == (
        f"{checkpoint / TRANSFORMER}: a weight of shape [128, 128] has scales of shape [2, 2]; one scale for the "
        "tensor or one for each output is supported: give the file in bf16 or fp8 scaled so"
    )


_FFN = "blocks.0.ffn.net.2.weight"
_WO = "encoder.block.1.layer.1.DenseReluDense.wo.weight"
_DAMAGED: dict[str, tuple[Change, str, str, int, int]] = {
    "transformer": (with_value(float("nan"), _FFN), TRANSFORMER, _FFN, 1, 4096),
    "infinity": (with_value(float("-inf"), _FFN), TRANSFORMER, _FFN, 1, 4096),
    "low noise": (with_value(float("nan"), _FFN, SECOND), SECOND, _FFN, 1, 4096),
    "VAE": (with_value(float("inf"), "decoder.conv_in.weight", VAE), VAE, "decoder.conv_in.weight", 1, 6912),
    "text encoder": (with_value(float("nan"), _WO, TEXT_ENCODER), TEXT_ENCODER, _WO, 1, 512),
    "scorer": (with_value(float("nan"), "logit_scale", SCORER), SCORER, "logit_scale", 1, 1),
    "scale": (
        with_tensors(lambda state: {**fp8_scaled(state)[0], f"{QUERY}.scale_weight": torch.tensor(float("nan"))}),
        TRANSFORMER,
        f"{QUERY}.weight",
        16384,
        16384,
    ),
    "8-bit float": (
        with_added({f"{QUERY}.weight": torch.full((128, 128), float("nan")).to(torch.float8_e5m2)}),
        TRANSFORMER,
        f"{QUERY}.weight",
        16384,
        16384,
    ),
    "GGUF": (
        as_gguf(lambda state: {**state, f"{QUERY}.bias": torch.full((128,), float("inf"))}),
        "transformer/diffusion_pytorch_model.gguf",
        f"{QUERY}.bias",
        128,
        128,
    ),
}


@pytest.mark.parametrize("case", _DAMAGED)
@pytest.mark.parametrize("is_inside", [False, True], ids=["elsewhere", "inside the bundle's folder"])
def test_the_dry_run_finds_values_that_are_no_numbers(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], case: str, *, is_inside: bool
) -> None:
    change, name, weight, count, total = _DAMAGED[case]
    change(checkpoint)
    place = checkpoint
    if is_inside:
        (checkpoint.parent / "bundle").mkdir()
        place = checkpoint.rename(checkpoint.parent / "bundle" / "checkpoint")
        assert main([str(place), "--out", str(place.parent), "--size=48x48", "--frames=5", "--dry-run"]) == 1
        said = capsys.readouterr().err.splitlines()[-1].removeprefix("export: ")
        shown = str(place.parent / "checkpoint" / name)
        assert [item.name for item in place.parent.iterdir()] == ["checkpoint"]
    else:
        said, shown = refused(place, capsys, ways=["--dry-run"]), str(place / name)
    assert said == f"{shown}: {weight} holds {count} values of {total} {_NAN}"


def test_the_export_finds_them_as_it_writes(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text encoder comes first; its weights are checked as they stream by, no weights and no manifest stay."""
    _DAMAGED["text encoder"][0](checkpoint)
    out = checkpoint.parent / "bundle"
    assert main([str(checkpoint), "--out", str(out), "--size", "48x48", "--frames", "5", "--verify", "never"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"export: {checkpoint / TEXT_ENCODER}: {_WO} holds 1 values of 512 {_NAN}"
    assert [file.name for file in out.rglob("*") if file.is_file()] == ["tokenizer.json"]


def test_the_dry_run_finds_values_beyond_the_precision(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_value(1e6, _FFN)(checkpoint)
    said = refused(checkpoint, capsys, "--precision", "fp16", ways=["--dry-run"])
    assert said == f"{_FFN}: has values beyond float16's 65504; keep it in bfloat16 or float32"
    assert "values: 42 of 42 tensors" in accepted(checkpoint, capsys, "--precision", "bf16")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_karras_sigmas", True),
        ("use_exponential_sigmas", True),
        ("use_beta_sigmas", True),
        ("use_dynamic_shifting", True),
        ("rescale_betas_zero_snr", True),
        ("sigma_min", 0.1),
        ("final_sigmas_type", "sigma_min"),
        ("_class_name", "FlowMatchEulerDiscreteScheduler"),
    ],
)
def test_a_schedule_that_the_engine_does_not_compute(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    with_json(_SCHEDULER, **{key: value})(checkpoint)
    said = refused(checkpoint, capsys)
    assert said.startswith(f"{checkpoint / _SCHEDULER} has {key} {value!r}; only ")
    assert said.endswith(f" is supported: {_OWN_SCHEDULER}")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("shift", 5.0, f"which the engine does not know; {_OWN_SCHEDULER}"),
        ("x" * 300, 1, f"which the engine does not know; {_OWN_SCHEDULER}"),
        ("solver_order", True, f"; 1, 2 or 3 are supported: {_OWN_SCHEDULER}"),
        ("solver_order", 2.5, f"; 1, 2 or 3 are supported: {_OWN_SCHEDULER}"),
        ("flow_shift", "5", "; it must be a number from 0.01 to 100"),
        ("flow_shift", float("nan"), "; it must be a number from 0.01 to 100"),
        ("num_train_timesteps", 1, "; it must be a number from 2 to 1e+06"),
    ],
)
def test_values_and_keys_of_a_scheduler(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], key: str, value: object, words: str
) -> None:
    with_json(_SCHEDULER, **{key: value})(checkpoint)
    said = refused(checkpoint, capsys)
    assert said.startswith(f"{checkpoint / _SCHEDULER} has {key[:50]} {value!r}")
    assert said.endswith(words)


def test_shift_and_order_of_a_scheduler_are_kept(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from export.weights.layouts.opening import open_checkpoint

    with_json(_SCHEDULER, flow_shift=3.0, solver_order=3)(checkpoint)
    accepted(checkpoint, capsys)
    settings = open_checkpoint(checkpoint).settings
    assert (settings.shift, settings.solver_order) == (3.0, 3)
