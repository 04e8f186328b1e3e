"""The expert that the name of a file, or of its folder, says: high noise or low noise."""

from __future__ import annotations

import re
from pathlib import Path

# What makes of "high" or "low" a word about something else than noise.
_OTHER = (
    "res|resolution|quality|definition|def|poly|light|lighting|key|angle|vram|rank|contrast|detail|details|speed|fps|"
    "step|steps|cfg|heel|heels|fashion|fantasy|waist|rise|cut|five|school|motion|life|fi|lo|end|kick|jump"
)
_WORD = re.compile(rf"(?<![a-z])(high|low)(?:[ _.-]*noise|(?![a-z])(?![ _.-]+(?:{_OTHER})(?![a-z])))")
_LETTER = re.compile(r"[ _.-]([HL])$")


def expert_of_name(file: Path) -> str | None:
    """The transformer that the name of a file, or of its folder, speaks of; None if it speaks of none or of both.

    ``high_noise``, ``HIGH``, ``low-noise`` count anywhere, ``H`` and ``L`` as the last part of the file's name.
    """
    for name in (file.stem, file.absolute().parent.name):
        separated = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=(?:High|Low)(?![a-z]))", "_", name).lower()
        words = {found.group(1) for found in _WORD.finditer(separated)}
        if not words and (letter := _LETTER.search(name)):
            words = {"high" if letter.group(1) == "H" else "low"}
        if words:
            return {"high": "transformer", "low": "transformer_2"}[words.pop()] if len(words) == 1 else None
    return None
