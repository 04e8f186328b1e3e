"""The check of a scorer's folder before any work: configuration, weights, tokenizer, preparation of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from export.errors import ExportError
from export.quantise.writer import progress_lines, read_tensors
from export.weights.configuration import check_sizes, read_json, refuse_quantised
from export.weights.parameters import check_weights, without_weights
from export.weights.shards import Shards
from export.weights.tokenizer import load_tokenizer_folder

if TYPE_CHECKING:
    from transformers import SiglipModel

_REMEDY = "download the scorer again"
_BICUBIC = 3
_FILTER_COUNT = 6  # of Pillow's resampling filters
_CHANNEL_COUNT = 3
_MAX_CHANNEL = 10.0


class PicturePreparation(NamedTuple):
    """The preparation of a picture for the scorer: Pillow's filter, then mean and deviation of each channel."""

    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def check_scorer(folder: Path) -> Shards:
    """Returns the scorer's stored tensors. Raises ``ExportError`` for a folder that holds no whole SigLIP model."""
    file = folder / "config.json"
    configuration = read_json(file, "give a SigLIP folder")
    if configuration.get("model_type") != "siglip":
        raise ExportError(
            f"--scorer {folder}: config.json is of model_type {configuration.get('model_type')!r}; give a SigLIP or "
            "SigLIP 2 folder of fixed resolution (model_type 'siglip')"
        )
    refuse_quantised(file, configuration)
    for part in (configuration, configuration.get("text_config"), configuration.get("vision_config")):
        check_sizes(file, part if isinstance(part, dict) else {}, _REMEDY)
    shards = Shards.open(folder)
    check_weights(_model(folder, configuration), shards)
    load_picture_preparation(folder)
    load_scorer_tokenizer(folder)
    return shards


def load_picture_preparation(folder: Path) -> PicturePreparation:
    """The values of ``preprocessor_config.json``. Raises ``ExportError`` for others than the engine computes with."""
    file = folder / "preprocessor_config.json"
    content = read_json(file, _REMEDY)
    resample = content.get("resample", _BICUBIC)
    if isinstance(resample, bool) or resample not in range(_FILTER_COUNT):
        raise ExportError(f"{file} has resample {repr(resample)[:50]}, which is no filter of Pillow; {_REMEDY}")
    return PicturePreparation(
        int(resample), _channels(file, content, "image_mean", lowest=-10.0), _channels(file, content, "image_std", 1e-3)
    )


def load_scorer_tokenizer(folder: Path) -> Any:
    """The scorer's tokenizer. Raises ``ExportError`` for one that is damaged, or that names no token for padding."""
    tokenizer = load_tokenizer_folder(folder, _REMEDY)
    if not isinstance(tokenizer.pad_token_id, int):
        raise ExportError(f"the tokenizer of --scorer {folder} names no token for padding; {_REMEDY}")
    return tokenizer


def _channels(file: Path, content: Mapping[str, Any], key: str, lowest: float) -> tuple[float, float, float]:
    values = content.get(key, (0.5, 0.5, 0.5))
    is_valid = (
        isinstance(values, list | tuple)
        and len(values) == _CHANNEL_COUNT
        and all(
            isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= _MAX_CHANNEL
            for value in values
        )
    )
    if not is_valid:
        raise ExportError(f"{file} has {key} {repr(values)[:50]} instead of {_CHANNEL_COUNT} numbers; {_REMEDY}")
    red, green, blue = map(float, values)
    return red, green, blue


def read_scorer(shards: Shards, report: Callable[[str], None]) -> None:
    """Reads every weight once. Raises ``ExportError`` for values that are infinite or not a number."""
    read_tensors(shards, progress_lines("scorer, values", report))


def _model(folder: Path, configuration: dict[str, object]) -> SiglipModel:
    from transformers import SiglipConfig, SiglipModel

    try:
        return without_weights(lambda: SiglipModel(SiglipConfig.from_dict(configuration)))
    except Exception as error:  # the library has many errors for a configuration that makes no model
        raise ExportError(f"{folder / 'config.json'} describes no usable model: {error}; {_REMEDY}") from error
