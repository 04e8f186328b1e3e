"""Which expert an adapter is for: by its keys, which decide, and by its file's name, which only warns.

A file for both experts has keys below ``transformer.`` and ``transformer_2.``, or below names of the experts. A file
for one expert, whichever, has keys below ``transformer.`` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.api.capabilities import Family
from export.errors import ExportError
from export.options import AdapterOption

OPTIONS: Mapping[str, str] = {"transformer": "--lora-high", "transformer_2": "--lora-low"}
_NOISE: Mapping[str, str] = {"transformer": "high-noise", "transformer_2": "low-noise"}
_LOW_KEY = re.compile(r"^(\w+\.)*?(transformer_2|\w*low_noise\w*|dit2|dit_low)\.")
_HIGH_KEY = re.compile(r"^(\w+\.)*?(\w*high_noise\w*|dit_high)\.")
# What makes of "high" or "low" a word about something else than noise.
_OTHER = (
    "res|resolution|quality|definition|def|poly|light|lighting|key|angle|vram|rank|contrast|detail|details|speed|fps|"
    "step|steps|cfg|heel|heels|fashion|fantasy|waist|rise|cut|five|school|motion|life|fi|lo|end|kick|jump"
)
_WORD = re.compile(rf"(?<![a-z])(high|low)(?:[ _.-]*noise|(?![a-z])(?![ _.-]+(?:{_OTHER})(?![a-z])))")
_LETTER = re.compile(r"[ _.-]([HL])$")


def of_component(file_name: str, keys: Sequence[str], component: str) -> list[str]:
    """The keys that belong to one transformer. Raises ``ExportError`` if all belong to the other."""
    low = [key for key in keys if _LOW_KEY.match(key)]
    high = [key for key in keys if _HIGH_KEY.match(key)]
    others = low if component == "transformer" else high
    if low and len(low) < len(keys):  # keys below transformer. are the high-noise expert's here
        others = low if component == "transformer" else [key for key in keys if key not in set(low)]
    if others and len(others) == len(keys):
        other = next(name for name in OPTIONS if name != component)
        raise ExportError(
            f"{file_name}: its keys, such as {others[0]}, are of the {_NOISE[other]} transformer; give it with "
            f"{OPTIONS[other]}"
        )
    excluded = set(others)
    return [key for key in keys if key not in excluded]


def expert_of_name(file: Path) -> str | None:
    """The transformer that the name of a file, or of its folder, speaks of; None if it speaks of none or of both.

    ``high_noise``, ``HIGH``, ``low-noise`` count anywhere, ``H`` and ``L`` as the last part of the file's name.
    """
    for name in (file.stem, file.absolute().parent.name):
        separated = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        words = {found.group(1) for found in _WORD.finditer(separated)}
        if not words and (letter := _LETTER.search(name)):
            words = {"high" if letter.group(1) == "H" else "low"}
        if words:
            return {"high": "transformer", "low": "transformer_2"}[words.pop()] if len(words) == 1 else None
    return None


def placement_notes(adapters: Mapping[str, Sequence[AdapterOption]], component: str, family: Family) -> list[str]:
    """Warnings about the adapters of a component: a name speaks of the other expert, or a file is given twice."""
    own = [option.file for option in adapters.get(component, ())]
    notes = [
        f"adapter {file.name}: is given {own.count(file)} times with {OPTIONS[component]}, and fused as often"
        for file in dict.fromkeys(own)
        if own.count(file) > 1
    ]
    if family is Family.WAN22_TI2V_5B:  # one transformer, so that no name can be wrong
        return notes
    for file in dict.fromkeys(own):
        said = expert_of_name(file)
        if said is not None and said != component:
            notes.append(
                f"adapter {file.name}: its name says {_NOISE[said]}, and it is given with {OPTIONS[component]}; "
                f"{OPTIONS[said]} is that transformer's"
            )
    if component == "transformer_2":
        both = {option.file.resolve() for option in adapters.get("transformer", ())}
        notes += [
            f"adapter {file.name}: is given with --lora-high and with --lora-low, and fused into both transformers"
            for file in dict.fromkeys(own)
            if file.resolve() in both
        ]
    return notes
