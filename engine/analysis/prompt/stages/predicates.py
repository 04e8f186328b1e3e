"""The predicate of a stage behind a subject that its own words do not name: the form of its verb, and its object."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.inflection import with_s
from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.stages.pieces import Piece
from engine.analysis.prompt.stages.roles import StagedSentence
from engine.analysis.prompt.stages.subjects import is_several
from engine.analysis.prompt.stages.text import quoted
from engine.analysis.prompt.tokens import LATIN, Token
from engine.analysis.prompt.vocabulary import BASE, THIRD

_SINGULAR = frozenset({"a", "an", "the", "this", "that", "one", "another", "each"})
_NOT_OBJECT = ("preposition", "resting", "direction", "adverb", "conjunction", "pronoun", "auxiliary")
_LONGEST_OBJECT = 6  # words; a longer one is not repeated


def predicate(sentence: StagedSentence, piece: Piece, subject: Piece | None) -> str:
    """The text of an action: "is jumping" after "is running", "smiles" after "make her look up, then smile".

    An "it" that a verb has as its object becomes the object that was named last: "opens the door, closes it".
    """
    draft, tokens = sentence.draft, piece.tokens
    verb = next((token for token in tokens if is_verb(token) and token.script == LATIN), None)
    first = sentence.first_action
    if verb is None or first is None:
        return quoted(draft, tokens)
    words = [draft.quote(draft.span([token])) for token in tokens]
    at = tokens.index(verb)
    auxiliary, *others = first.tokens
    if THIRD not in verb.forms and not tokens[0].is_in("auxiliary"):
        if auxiliary.is_in("auxiliary") and any(map(is_verb, others)):
            words[0] = f"{draft.quote(draft.span([auxiliary]))} {words[0]}"
        elif sentence.is_order and verb.forms == {BASE} and subject is not None and not is_several(subject):
            word, blank, rest = words[at].partition(" ")
            words[at] = with_s(word) + blank + rest
    for place, token in enumerate(tokens[at + 1 :], at + 1):
        named = _object_before(sentence, piece) if token.text == "it" else ""
        words[place] = named or words[place]
    return _with_marks(sentence, tokens, words)


def _object_before(sentence: StagedSentence, piece: Piece) -> str:
    """The object that the last action with one has, with "the"; empty if it is not certain."""
    earlier = [item for item in sentence.staged if item.acts and item.tokens[0].start < piece.tokens[0].start]
    for item in reversed(earlier):
        words = _object_of(item)
        opens = bool(words) and (words[0].text in _SINGULAR or words[0].is_in("possessive"))
        if opens and 1 < len(words) <= _LONGEST_OBJECT:
            phrase = sentence.draft.quote(sentence.draft.span(words[1:]))
            return f"the {phrase}" if words[0].text in _SINGULAR else sentence.draft.quote(sentence.draft.span(words))
        if not any(token.text == "it" for token in item.tokens):
            return ""
    return ""


def _object_of(piece: Piece) -> Sequence[Token]:
    """The words between the verb and the next preposition or adverb."""
    verb = next((index for index, token in enumerate(piece.tokens) if is_verb(token)), len(piece.tokens))
    words: list[Token] = []
    for token in piece.tokens[verb + 1 :]:
        if words and token.is_in("relative"):
            break  # "a leaf | that falls"
        if token.is_in(*_NOT_OBJECT) and not (not words and token.is_in("determiner")):
            break
        words.append(token)
    return words


def _with_marks(sentence: StagedSentence, tokens: Sequence[Token], words: Sequence[str]) -> str:
    """Words in place of tokens, with what stands between these in the sentence."""
    draft = sentence.draft
    text, end = "", draft.span(tokens[:1]).start
    for token, word in zip(tokens, words, strict=True):
        span = draft.span([token])
        text += draft.text[end : span.start] + word
        end = span.end
    before, _, after = quoted(draft, tokens).partition(draft.quote(draft.span(tokens)))
    return before + text + after
