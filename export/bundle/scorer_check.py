"""The check of a scorer's folder before any work: configuration, weights, tokenizer, preparation of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ExportError
from export.quantise.writer import progress_lines, read_tensors
from export.weights.configuration import read_json
from export.weights.parameters import check_weights, without_weights
from export.weights.shards import Shards

if TYPE_CHECKING:
    from transformers import SiglipModel

_REMEDY = "download the scorer again"


def check_scorer(folder: Path) -> Shards:
    """Returns the scorer's stored tensors. Raises ``ExportError`` for a folder that holds no whole SigLIP model."""
    from transformers import AutoTokenizer

    configuration = read_json(folder / "config.json", "give a SigLIP folder")
    if configuration.get("model_type") != "siglip":
        raise ExportError(
            f"--scorer {folder}: config.json is of model_type {configuration.get('model_type')!r}; give a SigLIP or "
            "SigLIP 2 folder of fixed resolution (model_type 'siglip')"
        )
    shards = Shards.open(folder)
    check_weights(_model(folder, configuration), shards)
    read_json(folder / "preprocessor_config.json", _REMEDY)
    try:
        AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library has many errors for damaged files
        raise ExportError(f"cannot load the tokenizer of --scorer {folder}: {error}; {_REMEDY}") from error
    return shards


def read_scorer(shards: Shards, report: Callable[[str], None]) -> None:
    """Reads every weight once. Raises ``ExportError`` for values that are infinite or not a number."""
    read_tensors(shards, progress_lines("scorer, values", report))


def _model(folder: Path, configuration: dict[str, object]) -> SiglipModel:
    from transformers import SiglipConfig, SiglipModel

    try:
        return without_weights(lambda: SiglipModel(SiglipConfig.from_dict(configuration)))
    except Exception as error:  # the library has many errors for a configuration that makes no model
        raise ExportError(f"{folder / 'config.json'} describes no usable model: {error}; {_REMEDY}") from error
