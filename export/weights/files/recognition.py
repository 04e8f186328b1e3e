"""Recognises the format of a file by its first bytes, not by its name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from export.errors import ExportError

FileFormat = Literal["safetensors", "torch", "gguf"]

_HEAD_BYTES = 512
_MAX_NAMED_FILES = 4
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_XET_POINTER = b"# xet version"
_ZIP = b"PK\x03\x04"
_GIVE = "give the file of weights"
_UNPACK = "unpack the archive first"
# First bytes of other formats, and where these stand: (offset, bytes, what the file is, remedy).
OTHER_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89PNG", "a PNG picture", _GIVE),
    (0, b"\xff\xd8\xff", "a JPEG picture", _GIVE),
    (0, b"RIFF", "a WebP picture or a sound", _GIVE),
    (4, b"ftyp", "a video", _GIVE),
    (0, b"%PDF", "a PDF document", _GIVE),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"\xfd7zXZ", "an xz archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x89HDF", "an HDF5 file of TensorFlow or Keras", "give the same model in safetensors"),
    (0, b"\x7fELF", "a program", _GIVE),
    (0, b"MZ", "a program", _GIVE),
    (0, bytes(64), "nothing but zeros at its beginning", "the download was interrupted: download the file again"),
)
_TEXT = "is a text file{}, not weights; give the file of weights"
# Endings that programs give to files while these are downloaded.
_UNFINISHED = (".incomplete", ".aria2", ".part", ".crdownload", ".tmp", ".download")
# Files of weights that the exporter cannot read are found by these endings.
WEIGHT_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".gguf")


def recognise(file: Path) -> FileFormat:
    """The format of a file of weights. Raises ``ExportError`` that says what the file is instead, and the remedy."""
    head = read_head(file)
    if head.startswith(b"GGUF"):
        return "gguf"
    if head.startswith(_ZIP) or _is_pickle(head):
        return "torch"
    if fault := foreign(head):
        raise ExportError(f"{file} {fault}")
    return "safetensors"


def read_head(file: Path, remedy: str = "give a file of weights") -> bytes:
    """The first bytes of a file. Raises ``ExportError`` for a file that cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    except IsADirectoryError as error:
        raise ExportError(f"{file} is a folder; {remedy}") from error
    except OSError as error:
        if file.is_symlink() and not file.exists():
            raise ExportError(
                f"{file} is a link to {file.readlink()}, which is missing; download the file again"
            ) from error
        raise ExportError(f"cannot read {file}: {error.strerror}; download the file again") from error


def foreign(head: bytes) -> str | None:
    """What a file is that begins with ``head``, and the remedy, if the file holds no weights; None if it may."""
    if not head:
        return "is empty; download the file again"
    if _is_header_length(head):
        return None
    if fault := _stand_in(head, "weights"):
        return fault
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"{", b"[")) or _is_plain_text(head):
        return _TEXT.format(_quoted(head))
    return next(
        (
            f"is {what}; {remedy}"
            for offset, magic, what, remedy in OTHER_FORMATS
            if head[offset : offset + len(magic)] == magic
        ),
        None,
    )


def _stand_in(head: bytes, meant: str) -> str | None:
    """What a file is that came in place of the one that was ``meant``, and the remedy; None if it is no such file."""
    if head.startswith(_LFS_POINTER):
        size = re.search(rb"size (\d+)", head)
        stands_for = f" for a file of {int(size.group(1)) / 1e9:.2f} GB" if size and len(size.group(1)) < 20 else ""
        return f"is a git-lfs pointer{stands_for}, not the file itself; run `git lfs pull`, or download the file again"
    if head.startswith(_XET_POINTER):
        return "is a pointer to a file, not the file itself; run `git xet checkout`, or download the file again"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")):
        return (
            f"is a web page, not {meant}: the download asked for a login or met an error; download the file again with "
            "`hf download`"
        )
    return None


def require_file(file: Path) -> None:
    """Refuses a file that cannot be read, is empty, a pointer or a web page. Raises ``ExportError``.

    For files that are no weights, such as configurations and tokenizers.
    """
    head = read_head(file, "give a file")
    fault = "is empty; download the file again" if not head.strip() else _stand_in(head, "the file itself")
    if fault is not None:
        raise ExportError(f"{file} {fault}")


def weight_files_in(folder: Path) -> list[Path]:
    """The files of a folder, not of its subfolders, whose names end like files of weights, sorted."""
    return sorted(file for file in folder.glob("*") if file.name.lower().endswith(WEIGHT_ENDINGS))


def folder_contents(folder: Path) -> str:
    """What lies in a folder, for the end of a message."""
    names = sorted(file.name for file in folder.iterdir())
    if not names:
        return ": the folder is empty"
    unfinished = [name for name in names if name.lower().endswith(_UNFINISHED)]
    if unfinished:
        return f": the download of {unfinished[0]} was interrupted"
    more = f" and {len(names) - _MAX_NAMED_FILES} more" if len(names) > _MAX_NAMED_FILES else ""
    return f": there {'is' if len(names) == 1 else 'are'} {', '.join(names[:_MAX_NAMED_FILES])}{more}"


def _is_pickle(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 0x80 and head[1] in range(2, 6) and not _is_header_length(head)


def _is_header_length(head: bytes) -> bool:
    """True if the file begins as safetensors does: eight length bytes, of which the last are zero, and a brace."""
    return head[8:9] == b"{" and head[5:8] == bytes(3)


def _is_plain_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)


def _quoted(head: bytes) -> str:
    line = head.decode("utf-8", "replace").strip().partition("\n")[0][:60].strip()
    return f" that begins with {json.dumps(line, ensure_ascii=False)}" if line else ""
