"""Which expert an adapter is for: by its keys, which decide, and by its file's name, which only warns.

A file for both experts has keys below ``transformer.`` and ``transformer_2.``, or below names of the experts. A file
for one expert, whichever, has keys below ``transformer.`` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from engine.api.capabilities import Family
from export.errors import ExportError
from export.options import AdapterOption
from export.weights.expert_names import expert_of_name

OPTIONS: Mapping[str, str] = {"transformer": "--lora-high", "transformer_2": "--lora-low"}
_NOISE: Mapping[str, str] = {"transformer": "high-noise", "transformer_2": "low-noise"}
_LOW_KEY = re.compile(r"^(\w+\.)*?(transformer_2|\w*low_noise\w*|dit2|dit_low)\.")
_HIGH_KEY = re.compile(r"^(\w+\.)*?(\w*high_noise\w*|dit_high)\.")


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
