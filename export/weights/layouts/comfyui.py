"""Components in a folder of single files, such as ComfyUI's ``models``: found by name, told apart by their headers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.api.capabilities import Family
from export.errors import ExportError
from export.weights.component_files import ComponentFiles
from export.weights.expert_names import expert_of_name
from export.weights.files.recognition import WEIGHT_ENDINGS, folder_contents
from export.weights.layouts.folders import LAYOUTS, FoundFolder
from export.weights.layouts.transformer_family import family_of_transformer
from export.weights.names.layout import ComponentKind

# Words in names of files, so that not every file of a folder of models is opened.
_WORDS: dict[ComponentKind, str] = {"transformer": r"wan|i2v|ti2v", "vae": r"vae", "text_encoder": r"umt5|t5"}
_NOT_WEIGHTS_OF_MODEL = re.compile(r"lora|lightning|distill_.*rank|controlnet|clip_vision", re.IGNORECASE)
_EXPERTS = {"transformer", "transformer_2"}
_MAX_FILES = 20_000
_MAX_NAMED = 4
_OPTIONS = {
    "transformer": "--transformer-high",
    "transformer_2": "--transformer-low",
    "text_encoder": "--text-encoder",
    "vae": "--vae",
}


@dataclass(frozen=True)
class _Candidate:
    """A file that holds a transformer. ``roles`` are the names under which it can serve."""

    file: Path
    family: Family
    roles: tuple[str, ...]


def single_files_folder(folder: Path, given: Mapping[str, ComponentFiles]) -> FoundFolder:
    """The components among the files below a folder, without those that options have ``given``, by name.

    A transformer that is given decides the family, else those that the folder holds.

    Raises ``ExportError`` where a component is missing, and where several files could be it.
    """
    files = _weight_files(folder)
    if not files:
        raise ExportError(f"{folder} holds no checkpoint{folder_contents(folder)}; {LAYOUTS}")
    transformers = [] if given.keys() >= _EXPERTS else list(_transformers(files))
    if "transformer" in given:
        families = {family_of_transformer(given["transformer"].configuration())}
    else:
        families = {item.family for item in transformers}
    if len(families) > 1:
        raise ExportError(
            f"{folder} holds transformers of {' and '.join(sorted(family.value for family in families if family))}; "
            "give the files of one as --transformer-high and --transformer-low"
        )
    found: dict[str, ComponentFiles] = {}
    is_5b = Family.WAN22_TI2V_5B in families
    for name in ("transformer",) if is_5b else ("transformer", "transformer_2"):
        if name not in given:
            candidates = [item.file for item in transformers if name in item.roles]
            found[name] = ComponentFiles("transformer", _only(folder, name, candidates))
    kinds: tuple[ComponentKind, ...] = ("text_encoder", "vae")
    for kind in kinds:
        if kind not in given:
            candidates = [file for file in _named(files, kind) if _fits(file, kind, is_5b)]
            found[kind] = ComponentFiles(kind, _only(folder, kind, candidates))
    return FoundFolder(found, None)


def _weight_files(folder: Path) -> list[Path]:
    files = []
    for number, file in enumerate(folder.rglob("*")):
        if number > _MAX_FILES:
            raise ExportError(
                f"{folder} holds more than {_MAX_FILES} files; give ComfyUI's models folder, or the files one by one "
                "as --transformer-high, --transformer-low, --vae and --text-encoder"
            )
        if file.name.lower().endswith(WEIGHT_ENDINGS):
            files.append(file)
    return sorted(files)


def _named(files: Sequence[Path], kind: ComponentKind) -> Iterator[Path]:
    """Files whose names have a word of the kind and none of another kind."""
    for file in files:
        words = {other for other, pattern in _WORDS.items() if re.search(pattern, file.name, re.IGNORECASE)}
        is_vae = "vae" in words
        if kind in words and is_vae == (kind == "vae") and not _NOT_WEIGHTS_OF_MODEL.search(file.name):
            yield file


def _transformers(files: Sequence[Path]) -> Iterator[_Candidate]:
    """Files that hold an image-to-video transformer. Files of other models are passed over."""
    for file in _named(files, "transformer"):
        try:
            family = family_of_transformer(ComponentFiles("transformer", file).configuration())
        except ExportError:
            continue
        if family is not None:
            expert = "transformer" if family is Family.WAN22_TI2V_5B else expert_of_name(file)
            yield _Candidate(file, family, tuple(sorted(_EXPERTS)) if expert is None else (expert,))


def _fits(file: Path, kind: ComponentKind, is_5b: bool) -> bool:
    try:
        configuration = ComponentFiles(kind, file).configuration()
    except ExportError:
        return False
    return kind != "vae" or bool(configuration.get("is_residual")) == is_5b


def _only(folder: Path, name: str, candidates: Sequence[Path]) -> Path:
    if len(candidates) == 1:
        return candidates[0]
    option = _OPTIONS[name]
    if not candidates:
        raise ExportError(f"{folder} holds no {name} of Wan2.2 image-to-video; give its file as {option}")
    named = ", ".join(file.relative_to(folder).as_posix() for file in candidates[:_MAX_NAMED])
    more = f" and {len(candidates) - _MAX_NAMED} more" if len(candidates) > _MAX_NAMED else ""
    raise ExportError(f"{folder} holds several files for the {name}: {named}{more}; choose one with {option}")
