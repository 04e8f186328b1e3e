"""Opens a checkpoint in whichever layout it has, and says what the layout leaves out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.api.capabilities import Family
from export.errors import ExportError
from export.options import ComponentOptions
from export.weights.checkpoint import Checkpoint
from export.weights.component_files import ComponentFiles
from export.weights.configuration import read_json
from export.weights.expert_names import expert_of_name
from export.weights.files.recognition import read_head
from export.weights.layouts.comfyui import single_files_folder
from export.weights.layouts.folders import LAYOUTS, FoundFolder, diffusers_folder, is_official, official_folder
from export.weights.layouts.options import given_components
from export.weights.layouts.transformer_family import family_of_transformer
from export.weights.pipeline_settings import FAMILY_SETTINGS, PipelineSettings, read_settings

_INDEX = "model_index.json"
_SNAPSHOTS = "snapshots"  # of the hub's cache: models--ORG--NAME/snapshots/REVISION
_MAX_REVISION = 100
_MAX_NAMED = 3
_ORDER = ("transformer", "transformer_2", "text_encoder", "vae")
_COMPLETE = {"transformer", "vae", "text_encoder"}
_FAMILY_NAMES = {Family.WAN22_I2V_A14B: "Wan2.2-I2V-A14B", Family.WAN22_TI2V_5B: "Wan2.2-TI2V-5B"}


def open_checkpoint(folder: Path | None, options: ComponentOptions = ComponentOptions()) -> Checkpoint:
    """Finds the components and reads the settings. Opens no weights but those that tell layout and family.

    Raises ``ExportError`` for a checkpoint that cannot be exported.
    """
    given = dict(given_components(options))
    if folder is None:
        missing = sorted(_COMPLETE - given.keys())
        if missing:
            raise ExportError(f"no checkpoint folder is given and no {missing[0]}; {LAYOUTS}")
        return _without_index(None, FoundFolder({}, None), given, options)
    if (folder / _INDEX).is_file() or (folder / _INDEX).is_symlink():
        settings = read_settings(folder, read_json(folder / _INDEX, LAYOUTS))
        found = diffusers_folder(folder, has_two=settings.family is Family.WAN22_I2V_A14B)
        components = {**found.components, **_with_configurations(given, found)}
        _check_experts(settings.family, components)
        return Checkpoint(
            _name(folder),
            folder,
            settings,
            components,
            options.tokenizer or _tokenizer(found, components),
            warnings=tuple(_warnings(components)),
        )
    _require_folder(folder)
    if is_official(folder):
        return _without_index(folder, official_folder(folder), given, options)
    return _without_index(None, single_files_folder(folder, given), given, options)


def _without_index(
    folder: Path | None, found: FoundFolder, given: Mapping[str, ComponentFiles], options: ComponentOptions
) -> Checkpoint:
    parts = {**found.components, **given}
    components = {name: parts[name] for name in _ORDER if name in parts}
    transformer = components["transformer"]
    transformer.open()  # refuses transformers of other models in a sentence of their own
    family = family_of_transformer(transformer.configuration())
    if family is None:
        raise ExportError(f"{transformer.label}: has the channels of no family; give Wan2.2-I2V-A14B or Wan2.2-TI2V-5B")
    _check_experts(family, components)
    settings = FAMILY_SETTINGS[family]
    name = _FAMILY_NAMES[family] if folder is None else _name(folder)
    return Checkpoint(
        name,
        folder,
        settings,
        components,
        options.tokenizer or found.tokenizer,
        assumed=tuple(_assumed(name, settings, components)),
        warnings=tuple(_warnings(components)),
    )


def _with_configurations(given: Mapping[str, ComponentFiles], found: FoundFolder) -> dict[str, ComponentFiles]:
    """Gives transformers without a configuration that of the folder: no shape shows the size of a head."""
    configured = dict(given)
    for name, part in given.items():
        replaced = found.components.get(name)
        file = None if replaced is None else replaced.configuration_file
        if part.kind == "transformer" and part.configuration_file is None and file is not None and file.is_file():
            configured[name] = dataclasses.replace(part, configuration_file=file)
    return configured


def _tokenizer(found: FoundFolder, components: Mapping[str, ComponentFiles]) -> Path | None:
    """The folder's tokenizer; None where it is missing and the file that an option gives may carry one."""
    is_missing = found.tokenizer is not None and not found.tokenizer.exists()
    return None if is_missing and components["text_encoder"].option else found.tokenizer


def _assumed(name: str, settings: PipelineSettings, components: Mapping[str, ComponentFiles]) -> Iterator[str]:
    yield f"scheduler: {settings.described()} (of {name}: this layout states none)"
    without = [label for label, part in components.items() if part.configuration_file is None]
    if without:
        yield f"configuration of {', '.join(without)}: from the shapes of the weights"


def _warnings(components: Mapping[str, ComponentFiles]) -> Iterator[str]:
    for name in ("transformer", "transformer_2"):
        part = components.get(name)
        said = None if part is None or part.option is None else expert_of_name(part.path)
        if part is not None and said not in {None, name} and "transformer_2" in components:
            yield f"warning: {part.label} is named like the other expert; check that the two are not swapped"


def _check_experts(family: Family, components: Mapping[str, ComponentFiles]) -> None:
    second = components.get("transformer_2")
    if family is Family.WAN22_TI2V_5B:
        if second is not None:
            raise ExportError(f"{second.label}: this family has one transformer; give --transformer-high alone")
        return
    if second is None:
        raise ExportError("Wan2.2-I2V-A14B has two experts: give the low-noise one as --transformer-low")
    first = components["transformer"]
    if first.path.resolve() == second.path.resolve():
        raise ExportError(
            f"{first.label} and {second.label} are one file; give the high-noise and the low-noise expert"
        )


def _require_folder(folder: Path) -> None:
    """Refuses what is no folder of a checkpoint, with a hint at what was meant."""
    if folder.is_file():
        read_head(folder)
        raise ExportError(f"cannot read {folder / _INDEX}: Not a directory; {LAYOUTS}")
    if not folder.is_dir():
        raise ExportError(f"cannot read {folder / _INDEX}: No such file or directory; {LAYOUTS}")
    snapshots = [item for item in sorted((folder / _SNAPSHOTS).glob("*")) if item.is_dir()]
    if snapshots:
        raise ExportError(
            f"{folder} is a folder of the hub's cache; give its snapshot {_current_snapshot(folder, snapshots)}"
        )
    cached = [item for item in sorted(folder.glob(f"models--*/{_SNAPSHOTS}/*")) if _is_checkpoint(item)]
    inside = cached or [item for item in sorted(folder.glob("*")) if _is_checkpoint(item)]
    if inside:
        named = " or ".join(map(str, inside[:_MAX_NAMED]))
        raise ExportError(f"{folder} is {'the cache of the hub' if cached else 'one folder too high'}; give {named}")


def _is_checkpoint(folder: Path) -> bool:
    return folder.is_dir() and ((folder / _INDEX).exists() or is_official(folder))


def _current_snapshot(folder: Path, snapshots: Sequence[Path]) -> Path:
    """The snapshot that the cache calls ``main``, else the one that was written last."""
    try:
        current = folder / _SNAPSHOTS / (folder / "refs" / "main").read_text(encoding="utf-8")[:_MAX_REVISION].strip()
    except (OSError, ValueError):
        current = folder
    return current if current in snapshots else max(snapshots, key=lambda item: item.stat().st_mtime_ns)


def _name(folder: Path) -> str:
    """The folder's name; in the hub's cache, ``models--ORG--NAME/snapshots/HASH``, the model's."""
    path = folder.resolve()
    if path.parent.name == _SNAPSHOTS:
        cached = re.fullmatch(r"models--(?:.+--)?(.+)", path.parent.parent.name)
        if cached:
            return cached.group(1)
    return path.name
