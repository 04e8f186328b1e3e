"""Recognises files that are no safetensors file by their first bytes, so that a refusal says what lies there."""

from __future__ import annotations

import re
from pathlib import Path

_HEAD_BYTES = 512
_PICKLE = "is a PyTorch file (pickle), which can run code when it is read; give the same weights as safetensors"
_ARCHIVE = "is a compressed archive; unpack it and give the .safetensors file inside"
# First bytes, and what a file that begins with them is.
_KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/"),
        "is a git-lfs pointer, not the file itself; run `git lfs pull` in its folder or download the file again",
    ),
    (re.compile(rb"GGUF"), "is a GGUF file; give the same weights as safetensors"),
    (re.compile(rb"PK\x03\x04.{26}[^/]*/(data\.pkl|byteorder|version|\.data)", re.DOTALL), _PICKLE),
    (re.compile(rb"\x80[\x02-\x05]"), _PICKLE),
    (re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf\x27\x1c|Rar!"), _ARCHIVE),
    (
        re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml)", re.IGNORECASE),
        "is a web page, not the file itself: the download failed, often because it needs a login; download it again",
    ),
    (
        re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]"),
        "is a text in JSON, not the file itself; download it again",
    ),
)


def kinds() -> tuple[str, ...]:
    """Every sentence that ``other_kind`` can answer for a file with content, each once."""
    return tuple(dict.fromkeys(kind for _, kind in _KINDS))


def other_kind(file: Path) -> str | None:
    """What a file is that cannot be a safetensors file, as the rest of a sentence that begins with the file's name.

    None for a safetensors file, also a damaged one, and for a file that cannot be opened. Reads 512 bytes.
    """
    if file.is_dir():
        return "is a folder; give a .safetensors file"
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    if not head:
        return "is empty; download it again"
    if head[8:9] == b"{" and head[6:8] == b"\0\0":  # the length of a header, and the header
        return None
    return next((kind for pattern, kind in _KINDS if pattern.match(head)), None)
