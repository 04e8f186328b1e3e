"""The tokenizer of umT5: a folder of transformers, a SentencePiece model, or the model that a text encoder carries."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ExportError
from export.weights.configuration import read_json
from export.weights.files.recognition import require_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MAX_MODEL_BYTES = 64 * 1024 * 1024  # umT5's model has 4.5 MB, its tokenizer.json 17 MB, Gemma's 34 MB
_MODEL_NAME = "spiece.model"
_JSON_NAME = "tokenizer.json"
_OWN = "give the folder google/umt5-xxl of the official checkpoint, or its spiece.model or tokenizer.json"
# An embedding has some rows more than the tokenizer has tokens: umT5-xxl's has 256,384.
_MAX_SPARE_ROWS = 1024
_MAX_EXTRA_TOKENS = 1000  # umT5's has 300; each becomes a token, before anything compares with the vocabulary


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
    if path.is_dir() and _is_there(path / _JSON_NAME):
        return load_tokenizer_folder(path, _OWN)
    if path.is_dir() and _is_there(path / _MODEL_NAME):
        return _from_model(path / _MODEL_NAME, str(path / _MODEL_NAME))
    if path.is_file() or path.is_symlink():
        return _from_json(path) if path.suffix == ".json" else _from_model(path, str(path))
    fault = "holds neither tokenizer.json nor spiece.model" if path.is_dir() else "no such file or folder"
    raise ExportError(f"cannot load {path}: {fault}; download it again")


def load_tokenizer_folder(folder: Path, remedy: str) -> PreTrainedTokenizerBase:
    """Loads a folder with ``tokenizer.json``, without running code from it.

    Raises ``ExportError`` for files that are missing, damaged or pointers to others, and for tokenizers with code of
    their own.
    """
    from transformers import AutoTokenizer

    for file in sorted(folder.glob("*token*.json")):
        _check_content(file, remedy)
        if file.name != _JSON_NAME:
            _check_options(file, read_json(file, remedy), remedy)
    return _loaded(
        folder,
        remedy,
        lambda: AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False),
    )


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, row_count: int) -> None:
    """Refuses a tokenizer that is not the text encoder's, whose embedding has ``row_count`` rows."""
    token_count = len(tokenizer)
    if not token_count <= row_count <= token_count + _MAX_SPARE_ROWS:
        raise ExportError(
            f"the tokenizer has {token_count} tokens and the text encoder {row_count}: they are not of one model; give "
            "the tokenizer of google/umt5-xxl as --tokenizer"
        )


def _check_options(file: Path, content: Mapping[str, Any], remedy: str) -> None:
    if "auto_map" in content:
        raise ExportError(f"{file} names code of its own (auto_map), which the exporter does not run; {remedy}")
    extra = content.get("extra_ids", 0)
    if not isinstance(extra, int) or not 0 <= extra <= _MAX_EXTRA_TOKENS:
        raise ExportError(f"{file} has extra_ids {repr(extra)[:50]}, beyond {_MAX_EXTRA_TOKENS}; {remedy}")


def _is_there(file: Path) -> bool:
    return file.exists() or file.is_symlink()


def _from_json(file: Path) -> PreTrainedTokenizerBase:
    from transformers import PreTrainedTokenizerFast

    _check_content(file, _OWN)
    return _loaded(
        file,
        _OWN,
        lambda: PreTrainedTokenizerFast(
            tokenizer_file=str(file), pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
        ),
    )


def _from_model(file: Path, label: str) -> PreTrainedTokenizerBase:
    """Converts a SentencePiece model. Only ``from_pretrained`` of a folder does: ``vocab_file`` is not read."""
    from sentencepiece import SentencePieceProcessor
    from transformers import T5TokenizerFast

    _check_content(file, _OWN, label)
    try:
        piece_count = SentencePieceProcessor(model_proto=file.read_bytes()).get_piece_size()
    except Exception as error:  # the library has many errors for damaged files
        raise ExportError(f"{label} is no SentencePiece model; {_OWN}") from error

    def convert() -> PreTrainedTokenizerBase:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copyfile(file, Path(folder) / _MODEL_NAME)
            return T5TokenizerFast.from_pretrained(folder, extra_ids=0, local_files_only=True)

    tokenizer = _loaded(label, _OWN, convert)
    if len(tokenizer) < piece_count:
        raise ExportError(
            f"cannot load {label}: {len(tokenizer)} of {piece_count} tokens were read; give tokenizer.json"
        )
    return tokenizer


def _check_content(file: Path, remedy: str, label: Path | str = "") -> None:
    """Refuses what is no tokenizer before a library reads it."""
    require_file(file)
    byte_count = file.stat().st_size
    if byte_count > _MAX_MODEL_BYTES:
        raise ExportError(f"{label or file} has {byte_count} bytes, too many for a tokenizer; {remedy}")


def _loaded(label: Path | str, remedy: str, load: Callable[[], PreTrainedTokenizerBase]) -> PreTrainedTokenizerBase:
    try:
        tokenizer = load()
        tokenizer("a")  # damaged tables show when they are used
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # many errors for damaged files, panics of Rust among them, which are no Exception
        raise ExportError(f"cannot load {label}: {_first_line(error)}; {remedy}") from error
    return tokenizer


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
