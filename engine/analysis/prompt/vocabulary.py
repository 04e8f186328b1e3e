"""The word lists, read from the files in ``words/``.

A list has an English and a Chinese part, terms separated by commas. A term may have several words and may stand in
several lists: "waves" is a thing and an action.
"""

from __future__ import annotations

import functools
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from engine.analysis.prompt.inflection import with_ed, with_ing, with_s

_FOLDER = Path(__file__).parent / "words"

SUBJECT_CLASSES = ("person", "animal", "bird", "fish", "vehicle", "plant", "body", "worn", "object", "sky")
NOUN_LISTS = frozenset({*SUBJECT_CLASSES, "place"})
VERB_LISTS = frozenset({"motion", "posture", "vague", "change", "transform", "weather"})
BASE, THIRD, ING, PAST = "base", "third", "ing", "past"  # forms of English verbs


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms with the lists that hold them, and the forms that English verbs have.

    ``english`` is keyed by words joined with one blank, ``chinese`` by characters; their longest terms have
    ``english_word_count`` words and ``chinese_length`` characters.
    """

    english: dict[str, frozenset[str]]
    english_forms: dict[str, frozenset[str]]
    chinese: dict[str, frozenset[str]]
    english_word_count: int
    chinese_length: int

    def terms(self, name: str, language: str) -> frozenset[str]:
        """All terms of one list, including inflected forms; ``language`` is "en" or "zh"."""
        source = self.english if language == "en" else self.chinese
        return frozenset(term for term, lists in source.items() if name in lists)


@functools.cache
def vocabulary() -> Vocabulary:
    """The word lists, cached."""
    lists: dict[str, dict[str, str]] = {}
    for path in sorted(_FOLDER.glob("*.toml")):
        lists.update(tomllib.loads(path.read_text(encoding="utf-8")))
    irregular = {words[0]: words[1:] for words in map(str.split, _terms(lists.pop("irregular")["en"]))}
    english: defaultdict[str, set[str]] = defaultdict(set)
    forms: defaultdict[str, set[str]] = defaultdict(set)
    chinese: defaultdict[str, set[str]] = defaultdict(set)
    for name, parts in lists.items():
        for term in _terms(parts.get("zh", "")):
            chinese[term].add(name)
        for term in _terms(parts.get("en", "")):
            english[term].add(name)
            if name in NOUN_LISTS:
                english[_plural(term)].add(name)
            if name in VERB_LISTS:
                for form, inflected in _verb_forms(term, irregular):
                    english[inflected].add(name)
                    forms[inflected].add(form)
    return Vocabulary(
        {term: frozenset(names) for term, names in english.items()},
        {term: frozenset(names) for term, names in forms.items()},
        {term: frozenset(names) for term, names in chinese.items()},
        max(term.count(" ") for term in english) + 1,
        max(map(len, chinese)),
    )


def _terms(text: str) -> list[str]:
    return [term for term in (part.strip().casefold() for part in text.replace("\n", ",").split(",")) if term]


def _plural(term: str) -> str:
    before, blank, last = term.rpartition(" ")
    return before + blank + with_s(last)


def _verb_forms(term: str, irregular: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Forms of a verb, inflected in its first word: "look up" → "looks up"."""
    verb, blank, rest = term.partition(" ")
    forms = [(BASE, verb), (THIRD, with_s(verb))]
    special = irregular.get(verb, [])
    forms += [(ING if form.endswith("ing") and form != verb else PAST, form) for form in special]
    forms += [(ING, with_ing(verb))] if not any(form == ING for form, _ in forms) else []
    forms += [(PAST, with_ed(verb))] if not any(form == PAST for form, _ in forms) else []
    return [(form, inflected + blank + rest) for form, inflected in forms]
