"""Which keys of an adapter change a transformer: what is refused, what is left out and told, what remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.errors import ExportError
from export.options import SKIP_IMAGE_KEYS
from export.weights.lora.adapter_file import AdapterFile
from export.weights.lora.forms import is_of_image_encoder, is_of_text_encoder, refused_form
from export.weights.lora.layouts import FoundChanges, ParameterChange, ParameterNames
from export.weights.lora.placement import of_component

_MAX_NAMED_KEYS = 3


@dataclass(frozen=True)
class Selection:
    """The keys that change parameters, the prefix of all of them, and a line for each kind of key left out."""

    changes: tuple[ParameterChange, ...]
    prefix: str
    notes: tuple[str, ...]


def select_keys(
    file: AdapterFile, shapes: Mapping[str, tuple[int, ...]], component: str, *, skips_image_keys: bool
) -> Selection:
    """Finds the keys of a file that change a component, whose parameters have ``shapes``.

    Raises ``ExportError`` for a form that cannot be fused and for a key that changes nothing that is known.
    """
    if refused := refused_form(file.shapes):
        form, key = refused
        raise ExportError(f"{file.name}: {form.refusal} ({key})")
    notes: list[str] = []
    keys = list(file.shapes)
    keys = _left_out(keys, [key for key in keys if is_of_text_encoder(key)], "of the text encoder", notes, file)
    keys = _left_out(keys, [key for key in keys if 0 in file.shapes[key]], "without values", notes, file)
    keys = of_component(file.name, keys, component)
    image_keys = [key for key in keys if is_of_image_encoder(key)]
    if skips_image_keys:
        keys = _left_out(keys, image_keys, "of Wan2.1's image embedding", notes, file)
    names = ParameterNames(shapes)
    found = names.find(keys)
    _refuse_unknown(file, found, names, image_keys=() if skips_image_keys else image_keys)
    changes = []
    for change in found.changes:
        if change.role != "reshape":
            changes.append(change)
            continue
        file.check_type(change.key, also_integers=True)
        stated = [int(value) for value in file.read({"reshape": change.key})["reshape"].flatten()]
        if stated != list(shapes[change.parameter]):
            raise ExportError(
                f"{file.name}: {change.key} makes the weight {stated}, the checkpoint's is "
                f"{list(shapes[change.parameter])}; give an adapter that was made for this checkpoint"
            )
        notes.append(f"adapter {file.name}: {change.key} states the shape that the weight has; left out")
    promises_dora = any(name.rpartition(".")[2] == "use_dora" and value for name, value in file.settings.items())
    if promises_dora and not any(change.role == "magnitude" for change in changes):
        raise ExportError(
            f"{file.name}: its settings say DoRA and it holds no lora_magnitude_vector; download the adapter again"
        )
    if not changes:
        raise ExportError(f"{file.name}: holds no tensor for this transformer; give a LoRA of this expert")
    return Selection(tuple(changes), found.prefix, tuple(notes))


def _left_out(
    keys: Sequence[str], excluded: Sequence[str], description: str, notes: list[str], file: AdapterFile
) -> list[str]:
    if not excluded:
        return list(keys)
    notes.append(f"adapter {file.name}: {count_of_keys(len(excluded))} {description} left out")
    left = set(excluded)
    return [key for key in keys if key not in left]


def count_of_keys(count: int) -> str:
    """``1 key``, ``2 keys``."""
    return f"{count} key{'' if count == 1 else 's'}"


def _refuse_unknown(
    file: AdapterFile, found: FoundChanges, names: ParameterNames, *, image_keys: Sequence[str]
) -> None:
    unknown = [key for key in found.unknown if not is_of_image_encoder(key)]
    if image_keys and not unknown:
        raise ExportError(
            f"{file.name}: {_listed(image_keys)}: this transformer has no such weight; the adapter is of Wan2.1 "
            f"image-to-video, whose picture embedding Wan2.2 lacks; {SKIP_IMAGE_KEYS} leaves out "
            f"{count_of_keys(len(image_keys))} and fuses the others"
        )
    if any(names.names_parameter(key) for key in unknown):
        raise ExportError(
            f"{file.name}: {_listed(unknown)}: holds whole weights, as a checkpoint does, and no adapter; give a LoRA"
        )
    if unknown:
        raise ExportError(
            f"{file.name}: {_listed(unknown)}: this transformer has no such weight; give an adapter that was "
            "made for this checkpoint"
        )
    if found.mixed:
        first, second = found.mixed
        raise ExportError(
            f"{file.name}: {first} and {second} name modules in different ways; give a file that names all in one way"
        )


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _MAX_NAMED_KEYS} more" if len(keys) > _MAX_NAMED_KEYS else ""
    return ", ".join(keys[:_MAX_NAMED_KEYS]) + more
