"""The forms in which quantised weights are stored: those that dequantise tensor by tensor, and those that do not.

Scales stand beside a weight under several names: ``scale_weight`` (ComfyUI's fp8 scaled files, Kijai's),
``weight_scale`` (LightX2V's, newer files of ComfyUI, compressed-tensors).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NoReturn

import torch

from export.errors import ExportError
from export.weights.eight_bit_weight import EIGHT_BIT_FLOATS, EightBitWeight
from export.weights.files.safetensors_file import DTYPES
from export.weights.files.stored_tensor import StoredTensor
from export.weights.names.layout import FoundNames
from export.weights.shards import Shards

_SCALES = ("scale_weight", "weight_scale", "weight.scale")
# Ranges of activations: this exporter measures its own where a recipe needs them.
_INPUT_SCALES = ("scale_input", "input_scale")
_COMFY_FORM = "comfy_quant"
READABLE_COMFY_FORMS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fn_scaled", "int8", "int8_tensorwise")
# What ``dequantised`` reads, for docs/inputs.md.
READABLE_FORMS = (
    ("F32, F16, BF16, F64", "kept"),
    ("F8_E4M3 or F8_E5M2 with scales (`scale_weight`, `weight_scale`, `weight.scale`)", "multiplied when read"),
    ("F8_E4M3 or F8_E5M2 without any scale", "values count as they are; the plan says “without scales”"),
    ("I8 with scales", "multiplied when read"),
)
# Beginnings of the endings with which other quantisers store their tensors.
UNREADABLE_FORMS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("weight.absmax", "weight.quant_map", "weight.quant_state", "weight.nested"), "bitsandbytes in 4 bits (NF4, FP4)"),
    (("SCB", "weight_format"), "bitsandbytes in 8 bits"),
    (("qweight", "qzeros", "scales", "g_idx"), "GPTQ or AWQ"),
    (("wscales", "proj_down", "proj_up", "smooth_factor", "wtscale"), "SVDQuant (Nunchaku)"),
    (("weight._data", "weight._scale"), "quanto"),
    (("weight_scale_2", "weight_global_scale"), "NVFP4"),
    (("weight_scale_inv",), "FP8 with scales of blocks"),
    (("weight_packed", "weight_shape"), "compressed-tensors with packed integers"),
    (("weight_zero_point",), "integers with zero points"),
    (("W_q", "meta"), "HQQ"),
)
_SCALED = (*EIGHT_BIT_FLOATS, torch.int8)
_REMEDY = "give the file in bf16, fp16, fp32, fp8 scaled or GGUF; the exporter quantises by itself (--precision)"


def dequantised(label: str, found: FoundNames, tensors: Mapping[str, StoredTensor]) -> tuple[Shards, str]:
    """The tensors of a component by the exporter's names, dequantised when they are read, and a word for their form.

    Raises ``ExportError`` for weights of a form that cannot be read, and for 8-bit weights whose scale is missing.
    """
    scales = _scales(label, found, tensors)
    is_scaled = bool(scales or found.markers)
    read: dict[str, StoredTensor] = {}
    for stored, name in found.inside.items():
        tensor = tensors[stored]
        if name in scales:
            tensor = EightBitWeight(tensor, scales.pop(name))
        elif tensor.torch_dtype in EIGHT_BIT_FLOATS and not is_scaled:
            tensor = EightBitWeight(tensor, scale=None)
        elif tensor.torch_dtype in _SCALED:
            raise ExportError(
                f"{label}: {stored} in {tensor.file.name} is stored as {_type_name(tensor)} without its scale; "
                f"{_REMEDY}"
            )
        elif not tensor.torch_dtype.is_floating_point:
            raise ExportError(
                f"{label}: {stored} in {tensor.file.name} is stored as {_type_name(tensor)}, which is no form of "
                f"weights that can be read; {_REMEDY}"
            )
        read[name] = tensor
    if scales:
        raise ExportError(f"{label}: has a scale for {next(iter(scales))} and no such weight; download the file again")
    return Shards(label, read), _form([tensors[stored] for stored in found.inside], is_scaled)


def _scales(label: str, found: FoundNames, tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    scales: dict[str, StoredTensor] = {}
    for stored, (module, ending) in found.companions.items():
        if ending in _SCALES:
            scales[f"{module}.weight"] = tensors[stored]
        elif ending == _COMFY_FORM:
            _check_comfy_form(label, stored, tensors[stored])
        elif ending not in _INPUT_SCALES:
            _refuse(label, stored, tensors[stored].file.name, ending)
    return scales


def _refuse(label: str, stored: str, file_name: str, ending: str) -> NoReturn:
    for beginnings, name in UNREADABLE_FORMS:
        if ending.startswith(beginnings):
            raise ExportError(
                f"{label} is quantised in the form of {name} ({stored} in {file_name}), which cannot be read; {_REMEDY}"
            )
    raise ExportError(f"{label}: holds {stored} in {file_name}, which the exporter does not know; {_REMEDY}")


def _check_comfy_form(label: str, stored: str, tensor: StoredTensor) -> None:
    """Newer files of ComfyUI name each weight's form in a tensor of JSON bytes."""
    try:
        form = json.loads(tensor.read().view(torch.uint8).numpy().tobytes())["format"]
    except (ValueError, TypeError, KeyError, RuntimeError, RecursionError):
        form = None
    if form not in READABLE_COMFY_FORMS:
        raise ExportError(
            f"{label} is quantised in the form {str(form)[:50]!r} of ComfyUI ({stored} in {tensor.file.name}), which "
            f"cannot be read; {_REMEDY}"
        )


def _form(tensors: Iterable[StoredTensor], is_scaled: bool) -> str:
    """The types in which most bytes are stored, for example ``F8_E4M3 with scales, F16``."""
    byte_counts: Counter[str] = Counter()
    for tensor in tensors:
        byte_counts[_type_name(tensor)] += tensor.byte_count
    names = [name for name, _ in byte_counts.most_common()]
    suffix = " with scales" if is_scaled else " without scales"
    return ", ".join(name + (suffix if name in {"F8_E4M3", "F8_E5M2", "I8"} else "") for name in names)


def _type_name(tensor: StoredTensor) -> str:
    """The name of safetensors for the type of a tensor in its file; GGUF's own for a quantised one."""
    own: str | None = getattr(tensor, "type_name", None)
    return own or next(name for name, (_, dtype) in DTYPES.items() if dtype is tensor.torch_dtype)
