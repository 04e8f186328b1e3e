"""Sentences of every kind about pocket's drawn pictures, and what they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evaluation.plan.model import SentenceKind
from pocket.evaluation.mismatch import Mismatch, mismatched
from pocket.world import OPPOSITE_ACTION, SUBJECTS, ClipSpec, caption
from pocket.world.captions import subject_phrase
from pocket.world.wordings import LIGHT_PHRASES, SUBJECT_NOUNS, action_phrases

_MISMATCHES: dict[SentenceKind, Mismatch] = {
    "wrong_subject": Mismatch.SUBJECT,
    "wrong_colour": Mismatch.COLOUR,
    "wrong_scene": Mismatch.SCENE,
    "implausible_action": Mismatch.ACTION,
}
_VAGUE = {
    "en": ("Make it move.", "The {noun} moves.", "Bring the picture to life."),
    "zh": ("让它动起来。", "{noun}动起来。", "让画面动起来。"),
}
_ABSTRACT = {
    "en": (", full of energy and epic tension", ", dynamic and stunning", ", with a vivid atmosphere"),
    "zh": ("，充满活力", "，画面极具张力", "，氛围感十足，令人震撼"),
}
_MANY = 4


@dataclass(frozen=True)
class Told:
    """A sentence and what it asks for.

    ``actions``: all of them must happen; empty: any motion will do. ``light`` None: the sentence does not tell.
    ``spec``: the described clip, which differs from the pictured one for a sentence that does not match.
    """

    sentence: str
    actions: tuple[str, ...]
    light: str | None
    spec: ClipSpec


def tell(spec: ClipSpec, kind: SentenceKind, language: str, seed: int) -> Told | None:
    """A sentence of this kind for the picture of ``spec``, None where the world has none. The seed picks the words."""
    if kind == "matched":
        return _captioned(spec, language, seed)
    if kind in _MISMATCHES:
        told = mismatched(spec, _MISMATCHES[kind], seed)
        return None if told is None else _captioned(told, language, seed)
    rng = np.random.default_rng([seed, 7])
    match kind:
        case "vague":
            noun = _pick(SUBJECT_NOUNS[language][spec.subject], rng).rpartition("|")[2]
            return Told(_pick(_VAGUE[language], rng).format(noun=noun), (), None, spec)
        case "abstract":
            plain = _captioned(spec, language, seed)
            sentence = plain.sentence.rstrip(".。") + _pick(_ABSTRACT[language], rng)
            return replace(plain, sentence=sentence)
        case "no_subject":
            return _composed(spec, language, rng, "{action}{light}")
        case "subject_last":
            colon = ": " if language == "en" else "："
            return _composed(spec, language, rng, "{action}{light}" + colon + "{subject}")
        case _:
            return _several(spec, kind, language, rng)


def _captioned(spec: ClipSpec, language: str, seed: int) -> Told:
    return Told(caption(spec, language, seed, always_complete=True), (spec.action,), spec.light, spec)


def _composed(spec: ClipSpec, language: str, rng: np.random.Generator, form: str) -> Told:
    """A sentence from the parts of a caption in another order."""
    action = _pick(action_phrases(spec.subject, spec.action, language), rng)
    light = _pick(LIGHT_PHRASES[language][spec.light], rng)
    joint = ", " if language == "en" else "，"
    subject = subject_phrase(spec.subject, spec.colour, spec.scene, language, rng)
    text = form.format(action=action, light=joint + light if light else "", subject=subject)
    return Told(_sentence(text, language), (spec.action,), spec.light, spec)


def _several(spec: ClipSpec, kind: SentenceKind, language: str, rng: np.random.Generator) -> Told | None:
    """A sentence with two or four different actions, without order words or with them."""
    if spec.action == "stays":
        return None
    others = [a for a in SUBJECTS[spec.subject].actions if a not in {"stays", spec.action}]
    if kind == "too_many_actions":
        count = _MANY
    else:
        count = 2
        others = [action for action in others if action != OPPOSITE_ACTION.get(spec.action)]
    if len(others) < count - 1:
        return None
    actions = (spec.action, *(others[i] for i in rng.permutation(len(others))[: count - 1]))
    phrases = [_pick(action_phrases(spec.subject, action, language), rng) for action in actions]
    subject = subject_phrase(spec.subject, spec.colour, spec.scene, language, rng)
    return Told(_sentence(_staged(subject, phrases, kind, language), language), actions, None, spec)


def _staged(subject: str, phrases: list[str], kind: SentenceKind, language: str) -> str:
    is_ordered = kind != "actions_unordered"
    if language == "zh":
        orders = ["先", *["再"] * (len(phrases) - 2), "最后"] if len(phrases) > 2 else ["先", "然后"]
        return subject + "，".join(f"{o}{p}" if is_ordered else p for o, p in zip(orders, phrases, strict=True))
    orders = ["first", *["then"] * (len(phrases) - 2), "finally"] if len(phrases) > 2 else ["first", "then"]
    return f"{subject} " + ", ".join(f"{o} {p}" if is_ordered else p for o, p in zip(orders, phrases, strict=True))


def _sentence(text: str, language: str) -> str:
    return f"{text}。" if language == "zh" else f"{text[0].upper()}{text[1:]}."


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
