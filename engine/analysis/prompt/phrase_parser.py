"""Parses one part of a sentence into phrases: subject, action, place, camera or style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.analysis.prompt.camera import camera_end, direction_of
from engine.analysis.prompt.negations import excluded_from, is_manner
from engine.analysis.prompt.phrases import Part, Use, moves, names_something
from engine.analysis.prompt.places import leading_place, resting_place, trailing_place
from engine.analysis.prompt.tokens import HAN, Token
from engine.analysis.prompt.vocabulary import ING, SUBJECT_CLASSES
from engine.api.prompt_report import ClauseKind

_THINGS = frozenset(SUBJECT_CLASSES) - {"sky", "worn"}
_CHINESE_OPENERS = ("adverb", "coverb", "direction", "sequence", "negation")
_ENGLISH_OPENERS = ("adverb", "auxiliary", "negation")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A clause before its stage is numbered.

    ``predicate`` is the index at which the subject of a phrase taken for environment ends, None without a predicate;
    ``continues`` tells that the next action accompanies this one, as after 着; ``is_divided`` that a mark of time or a
    number of a list stands before the part.
    """

    kind: ClauseKind
    tokens: tuple[Token, ...]
    moves: bool
    is_new_stage: bool = False
    predicate: int | None = None
    continues: bool = False
    is_divided: bool = False


@dataclass(slots=True)
class ParseState:
    """Facts about the parts before the current one."""

    has_subject: bool = False
    has_action: bool = False
    last: ClauseKind | None = None

    def add(self, phrases: Sequence[Phrase]) -> None:
        """Adds the phrases of one more part."""
        for phrase in phrases:
            self.has_subject = self.has_subject or phrase.kind is ClauseKind.SUBJECT
            self.has_action = self.has_action or phrase.kind is ClauseKind.ACTION or bool(phrase.predicate)
            self.last = phrase.kind


def phrases_of(part: Part, state: ParseState) -> list[Phrase]:
    """The phrases of a part in order; none for negated content and for introductory words."""
    first = 0
    while first < len(part.tokens) and _only_leads_in(part.tokens, first):
        if state.has_subject and part.tokens[first].is_in("coverb"):
            break  # "然后 | 把球扔出去"
        first += 1
    tokens, uses = part.tokens[first:], part.uses[first:]
    if tokens and is_manner(tokens, 0):
        tokens, uses = tokens[2:], uses[2:]
    while tokens and tokens[-1].is_in("ask"):
        tokens, uses = tokens[:-1], uses[:-1]
    if Use.MAIN in uses:
        excluded = excluded_from(tokens, uses.index(Use.MAIN))
        tokens, uses = tokens[:excluded], uses[:excluded]
    if not tokens or (tokens[0].is_in("negation") and not tokens[0].is_in("still")):
        return []  # what must not be there appears in no clause
    end = camera_end(tokens, goes_on=state.last is ClauseKind.CAMERA)
    if end:
        is_moving = any(direction_of(token) not in {None, "static"} for token in tokens[:end])
        rest = tokens[end:]
        tells_more = Use.MAIN in uses[end:] and any(token.is_in("pronoun") for token in rest[:-1])
        if not tells_more and not any(not token.lists.isdisjoint(_THINGS) for token in rest):
            drifts = any(use is Use.MAIN and moves(token) for token, use in zip(rest, uses[end:], strict=True))
            return [Phrase(ClauseKind.CAMERA, tokens, is_moving or drifts)]
        head = Phrase(ClauseKind.CAMERA, tokens[:end], is_moving)
        return [head, *_subject_and_action(rest, uses[end:], state, part.is_divided)]
    if Use.MAIN not in uses and Use.ALONG not in uses:
        return _still_phrases(tokens, uses)
    return _subject_and_action(tokens, uses, state, part.is_divided)


def _only_leads_in(tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    if token.is_in("order", "ask", "depicted") and not token.is_noun:
        return True
    return index > 0 and token.text == "of" and tokens[index - 1].is_in("ask")


def _still_phrases(tokens: tuple[Token, ...], uses: tuple[Use | None, ...]) -> list[Phrase]:
    """The phrases of a part without a verb, which names a subject, a place or a style."""
    has_thing = any(not token.lists.isdisjoint(_THINGS) for token in tokens)
    if not has_thing and any(token.is_in("style", "quality") for token in tokens):
        return [Phrase(ClauseKind.STYLE, tokens, moves=False)]
    is_moving = any(use is Use.ATTRIBUTE and moves(token) for token, use in zip(tokens, uses, strict=True))
    lead = leading_place(tokens)
    if lead and tokens[lead - 1].text == "的":  # "在草地上的 | 一只白猫"
        return _with_place(tokens, is_moving=is_moving)
    if resting_place(tokens) or (not has_thing and any(token.is_in("place", "sky") for token in tokens)):
        return [Phrase(ClauseKind.ENVIRONMENT, tokens, moves=False)]
    if not names_something(tokens) and not any(token.is_in("adjective", "worn") for token in tokens):
        return []
    return _with_place(tokens, is_moving=is_moving)


def _with_place(tokens: tuple[Token, ...], *, is_moving: bool) -> list[Phrase]:
    """Splits a noun phrase from its place: "a white cat" and "in the room"."""
    lead = leading_place(tokens)
    phrases = [Phrase(ClauseKind.ENVIRONMENT, tokens[:lead], moves=False)] if lead else []
    tokens = tokens[lead:]
    end = trailing_place(tokens, with_sky=True)
    phrases.append(Phrase(ClauseKind.SUBJECT, tokens[:end], is_moving))
    if end < len(tokens):
        phrases.append(Phrase(ClauseKind.ENVIRONMENT, tokens[end:], moves=False))
    return phrases


def _subject_and_action(
    tokens: tuple[Token, ...], uses: tuple[Use | None, ...], state: ParseState, is_divided: bool
) -> list[Phrase]:
    verbs = [index for index, use in enumerate(uses) if use is Use.MAIN]
    verbs = verbs or [index for index, use in enumerate(uses) if use is Use.ALONG]
    if not verbs:
        return _still_phrases(tokens, uses)
    lead = leading_place(tokens[: verbs[0]])
    start = _predicate_start(tokens, uses, lead, verbs[0])
    named, predicate = tokens[lead:start], tokens[start:]
    head = head_of(named)
    is_moving = any(moves(tokens[index]) for index in verbs)
    if head is not None and head.is_in("sky", "place") and head.lists.isdisjoint(_THINGS - {"plant"}):
        return [Phrase(ClauseKind.ENVIRONMENT, tokens, is_moving, predicate=start)]
    if tokens[verbs[0]].is_in("weather") and not any(token.is_noun for token in named):
        return [Phrase(ClauseKind.ENVIRONMENT, tokens, is_moving)]
    phrases = [Phrase(ClauseKind.ENVIRONMENT, tokens[:lead], moves=False)] if lead else []
    goes_along = state.has_action and (uses[0] is Use.ALONG or _goes_along(tokens[verbs[0]], head))
    belongs = head is not None and head.is_in("worn", "body") and state.has_subject
    if belongs or goes_along or not names_something(named):
        predicate = tokens[lead:]
        start = lead
    else:
        attribute = any(use is Use.ATTRIBUTE and moves(t) for t, use in zip(named, uses[lead:start], strict=True))
        phrases += _with_place(named, is_moving=attribute)
    actions = _actions(predicate, [index - start for index in verbs], is_divided or not goes_along)
    return phrases + [replace(phrase, is_divided=is_divided) for phrase in actions]


def _goes_along(verb: Token, head: Token | None) -> bool:
    """True for a verb that accompanies an earlier action: "barking", "her skirt swirling"."""
    is_participle = verb.forms == {ING} or (not verb.forms and verb.script != HAN and verb.text.endswith("ing"))
    return is_participle or verb.is_in("result") or (head is not None and head.is_in("worn"))


def _predicate_start(tokens: Sequence[Token], uses: Sequence[Use | None], lead: int, verb: int) -> int:
    """The index of the predicate: the first adverb or preverbal phrase after the subject, or the verb."""
    named = False
    for index in range(lead, verb):
        token = tokens[index]
        named = named or token.is_noun or token.is_in("pronoun") or not token.lists
        openers = _CHINESE_OPENERS if token.script == HAN else _ENGLISH_OPENERS
        opens = token.is_in(*openers) or uses[index] is Use.ALONG or _begins_manner(tokens, index, verb)
        nothing_named_later = not any(later.is_noun for later in tokens[index:verb])
        if opens and (named or token.script == HAN or nothing_named_later):
            return index
    return verb


def _begins_manner(tokens: Sequence[Token], index: int, verb: int) -> bool:
    """True if unlisted words up to 地 describe a manner: "兴高采烈地"."""
    while index < verb and not tokens[index].lists and tokens[index].script == HAN:
        index += 1
        if tokens[index].text == "地":
            return True
    return False


def head_of(tokens: Sequence[Token]) -> Token | None:
    """The head of a noun phrase: the last noun before an English preposition."""
    head = None
    for token in tokens:
        if token.is_in("preposition", "resting") and head is not None:
            break
        if token.is_noun:
            head = token
    return head


def _actions(tokens: tuple[Token, ...], verbs: Sequence[int], is_new_stage: bool) -> list[Phrase]:
    """One phrase for each verb, and one for the place of the action."""
    phrases: list[Phrase] = []
    start = resting_place(tokens[: verbs[0]]) if verbs else 0
    if start:
        phrases.append(Phrase(ClauseKind.ENVIRONMENT, tokens[:start], moves=False))
    for number, verb in enumerate(verbs):
        end = verbs[number + 1] if number + 1 < len(verbs) else len(tokens)
        place = trailing_place(tokens[verb:end]) + verb
        is_new = is_new_stage and not (number == 0 and tokens[verb].is_in("posture") and len(verbs) > 1)
        lasts = any("着" in token.text for token in tokens[verb : verb + 2])
        phrases.append(Phrase(ClauseKind.ACTION, tokens[start:place], moves(tokens[verb]), is_new, continues=lasts))
        if place < end:
            phrases.append(Phrase(ClauseKind.ENVIRONMENT, tokens[place:end], moves=False))
        start = end
    return phrases
