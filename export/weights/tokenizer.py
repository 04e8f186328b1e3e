"""The tokenizer of umT5: a folder of transformers, a SentencePiece model, or the model that a text encoder carries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ExportError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MAX_MODEL_BYTES = 64 * 1024 * 1024  # umT5's model has 4.5 MB
_MODEL_NAME = "spiece.model"
# An embedding has some rows more than the tokenizer has tokens: umT5-xxl's has 256,384.
_MAX_SPARE_ROWS = 1024


def load_tokenizer(path: Path | None, model: bytes | None = None) -> PreTrainedTokenizerBase:
    """Loads a folder (``tokenizer.json`` or ``spiece.model``) or a file of either, or else ``model``.

    ``model`` is a SentencePiece model. Raises ``ExportError`` for a tokenizer that is missing or damaged.
    """
    if path is None:
        if model is None:
            raise ExportError(
                "no tokenizer was found: give --tokenizer with the folder google/umt5-xxl of the official checkpoint, "
                "or its spiece.model or tokenizer.json"
            )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / _MODEL_NAME
            file.write_bytes(model)
            return _from_model(file, "the tokenizer inside the text encoder's file")
    if path.is_dir() and (path / "tokenizer.json").is_file():
        return _from_folder(path, path)
    if path.is_dir() and (path / _MODEL_NAME).is_file():
        return _from_model(path / _MODEL_NAME, str(path / _MODEL_NAME))
    if path.is_file():
        return _from_json(path) if path.suffix == ".json" else _from_model(path, str(path))
    fault = "holds neither tokenizer.json nor spiece.model" if path.is_dir() else "no such file or folder"
    raise ExportError(f"cannot load {path}: {fault}; download it again")


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, row_count: int) -> None:
    """Refuses a tokenizer that is not the text encoder's, whose embedding has ``row_count`` rows."""
    token_count = len(tokenizer)
    if not token_count <= row_count <= token_count + _MAX_SPARE_ROWS:
        raise ExportError(
            f"the tokenizer has {token_count} tokens and the text encoder {row_count}: they are not of one model; give "
            "the tokenizer of google/umt5-xxl as --tokenizer"
        )


def _from_folder(folder: Path, label: Path | str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library has many errors for damaged files
        raise ExportError(f"cannot load {label}: {_first_line(error)}; download it again") from error


def _from_json(file: Path) -> PreTrainedTokenizerBase:
    from transformers import PreTrainedTokenizerFast

    try:
        return PreTrainedTokenizerFast(
            tokenizer_file=str(file), pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
        )
    except Exception as error:  # the library has many errors for damaged files
        raise ExportError(f"cannot load {file}: {_first_line(error)}; download it again") from error


def _from_model(file: Path, label: str) -> PreTrainedTokenizerBase:
    """Converts a SentencePiece model. Only ``from_pretrained`` of a folder does: ``vocab_file`` is not read."""
    from sentencepiece import SentencePieceProcessor
    from transformers import T5TokenizerFast

    if file.stat().st_size > _MAX_MODEL_BYTES:
        raise ExportError(f"{label} has {file.stat().st_size} bytes, too many for a tokenizer; give another file")
    try:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copyfile(file, Path(folder) / _MODEL_NAME)
            tokenizer = T5TokenizerFast.from_pretrained(folder, extra_ids=0, local_files_only=True)
        piece_count = SentencePieceProcessor(model_proto=file.read_bytes()).get_piece_size()
    except Exception as error:  # the libraries have many errors for damaged files
        raise ExportError(f"cannot load {label}: {_first_line(error)}; download it again") from error
    if len(tokenizer) < piece_count:
        raise ExportError(
            f"cannot load {label}: {len(tokenizer)} of {piece_count} tokens were read; give tokenizer.json"
        )
    return tokenizer


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
