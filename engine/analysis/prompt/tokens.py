"""Cuts a normalised text into words.

Chinese is cut by the longest term of the word lists at each place, English at word borders, with listed terms of
several words kept together. Both take linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.analysis.prompt.normalised_text import NormalisedText
from engine.analysis.prompt.vocabulary import NOUN_LISTS, Vocabulary, vocabulary

HAN, LATIN, FOREIGN, MARK = "han", "latin", "foreign", "mark"

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_PIECE = re.compile(
    rf"(?P<code>(?:https?://|www\.)[^\s{_HAN}]+|</?[a-z][^<>\s]{{0,40}}>)"
    rf"|(?P<han>[{_HAN}])"
    rf"|(?P<word>[^\W_{_HAN}]+(?:['’-][^\W_{_HAN}]+)*)"
    r"|(?P<blank>\s)|(?P<mark>.)",
    re.DOTALL,
)
_LATIN_END, _LATIN_EXTENDED = 0x250, range(0x1E00, 0x1F00)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a punctuation mark; ``start`` and ``end`` count characters of the normalised text.

    ``lists`` names the word lists that hold the token, ``forms`` the verb forms it can have. ``after_blank`` is true
    after white space.
    """

    start: int
    end: int
    text: str
    script: str
    lists: frozenset[str]
    forms: frozenset[str]
    after_blank: bool

    def is_in(self, *names: str) -> bool:
        """True if one of the lists holds the token."""
        return not self.lists.isdisjoint(names)

    @property
    def is_noun(self) -> bool:
        """True if a list of nouns holds the token."""
        return not self.lists.isdisjoint(NOUN_LISTS)


def tokenise(normalised: NormalisedText) -> tuple[Token, ...]:
    """The tokens of a normalised text, in order, without blanks."""
    words = vocabulary()
    text = normalised.text
    tokens: list[Token] = []
    position, after_blank = 0, False
    while piece := _PIECE.match(text, position):
        kind = str(piece.lastgroup)
        if kind == "blank":
            position, after_blank = piece.end(), True
            continue
        token = _longest_chinese(text, position, words, after_blank) if kind in {"han", "word"} else None
        if token is None and kind == "word":
            token = _longest_english(text, piece, words, after_blank)
        if token is None:
            script = HAN if kind == "han" else MARK  # a link or a tag says nothing either
            token = Token(position, piece.end(), piece[0], script, frozenset(), frozenset(), after_blank)
        tokens.append(token)
        position, after_blank = token.end, False
    return tuple(tokens)


def _longest_chinese(text: str, start: int, words: Vocabulary, after_blank: bool) -> Token | None:
    if "a" <= text[start] <= "z":
        return None
    for end in range(min(len(text), start + words.chinese_length), start, -1):
        lists = words.chinese.get(text[start:end])
        if lists is not None:
            return Token(start, end, text[start:end], HAN, lists, frozenset(), after_blank)
    return None


def _longest_english(text: str, first: re.Match[str], words: Vocabulary, after_blank: bool) -> Token:
    ends = [first.end()]
    while len(ends) < words.english_word_count and text[ends[-1] : ends[-1] + 1] == " ":
        following = _PIECE.match(text, ends[-1] + 1)
        if following is None or following.lastgroup != "word":
            break
        ends.append(following.end())
    for end in reversed(ends):
        term = text[first.start() : end].replace("’", "'")
        if term in words.english:
            forms = words.english_forms.get(term, frozenset())
            return Token(first.start(), end, term, LATIN, words.english[term], forms, after_blank)
    code = ord(first[0][0])
    script = LATIN if code < _LATIN_END or code in _LATIN_EXTENDED else FOREIGN
    word = first[0].replace("’", "'")
    owner = words.english.get(word.removesuffix("'s")) if word.endswith("'s") else None
    lists = frozenset({"possessive"}) if owner else frozenset[str]()
    return Token(first.start(), first.end(), word, script, lists, frozenset(), after_blank)
