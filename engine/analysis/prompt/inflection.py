"""Regular forms of English words."""

from __future__ import annotations

_VOWELS = frozenset("aeiou")
_HISSING = ("s", "x", "z", "ch", "sh")


def with_s(word: str) -> str:
    """Plural of a noun, or third person of a verb: box → boxes, fly → flies, dog → dogs."""
    if word.endswith(_HISSING) or (word.endswith("o") and word[-2:-1] not in _VOWELS and len(word) <= 4):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def with_ing(word: str) -> str:
    """Present participle: drive → driving, swim → swimming, walk → walking."""
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")):
        return word[:-1] + "ing"
    return _doubled(word) + "ing"


def with_ed(word: str) -> str:
    """Regular past: wave → waved, carry → carried, nod → nodded."""
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ied"
    return _doubled(word) + "ed"


def _doubled(word: str) -> str:
    """Doubles the last consonant of a word of one syllable that ends in one vowel and one consonant: run → runn."""
    one_syllable = sum(letter in _VOWELS for letter in word) == 1
    if one_syllable and len(word) > 2 and word[-1] not in _VOWELS | frozenset("wxy") and word[-2] in _VOWELS:
        return word + word[-1]
    return word
