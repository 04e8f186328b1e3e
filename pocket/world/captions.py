"""Captions of clips and pictures in English and Chinese: subject, action, change of light, in varying words."""

import numpy as np

from pocket.world.spec import ClipSpec
from pocket.world.wordings import (
    COLOUR_WORDS,
    LIGHT_PHRASES,
    SCENE_NAMES,
    SCENE_PHRASES,
    SUBJECT_NOUNS,
    action_phrases,
)

LANGUAGES = ("en", "zh")


def caption(spec: ClipSpec, language: str, seed: int, *, always_complete: bool = False) -> str:
    """Describe a clip in one sentence; the seed picks the wording. `language` is "en" or "zh".

    Unless `always_complete`, some seeds leave out colour or scene.
    """
    rng = np.random.default_rng(seed)
    names_colour = bool(rng.random() < 0.85) or always_complete
    names_scene = bool(rng.random() < 0.6) or always_complete
    subject = subject_phrase(
        spec.subject,
        spec.colour if names_colour else None,
        spec.scene if names_scene else None,
        language,
        rng,
    )
    action = _pick(action_phrases(spec.subject, spec.action, language), rng)
    light = _pick(LIGHT_PHRASES[language][spec.light], rng)
    joint = " " if language == "en" else ""
    clauses = [subject + joint + action, *([light] if light else [])]
    return _punctuate(clauses, language, rng)


def still_caption(subject: str, colour: str | None, scene: str | None, language: str, seed: int) -> str:
    """Describe a single picture without an action; None leaves out colour or scene."""
    return subject_phrase(subject, colour, scene, language, np.random.default_rng(seed))


def scene_caption(scene: str, language: str, seed: int) -> str:
    """Describe a scene without a subject."""
    rng = np.random.default_rng(seed)
    phrases = SCENE_PHRASES[language][scene] + SCENE_NAMES[language][scene]
    return _pick(phrases, rng)


def subject_phrase(
    subject: str,
    colour: str | None,
    scene: str | None,
    language: str,
    rng: np.random.Generator,
) -> str:
    """Join colour, subject and scene in the word order of the language."""
    noun = _pick(SUBJECT_NOUNS[language][subject], rng)
    place = _pick(SCENE_PHRASES[language][scene], rng) if scene else ""
    if language == "en":
        word = COLOUR_WORDS["en"][colour] if colour else ""
        named = f"{word} {noun}".strip()
        if subject == "person" and word:
            named = f"{noun} in {word}"
        article = _pick(("a", "a", "the"), rng)
        if article == "a" and named[0] in "aeiou":
            article = "an"
        return f"{article} {named} {place}".strip()
    word = COLOUR_WORDS["zh"][colour] if colour else ""
    counter, bare = noun.split("|")
    if subject == "person":
        named = f"穿{word}衣服的{bare}" if word else bare
    else:
        named = f"{word}的{bare}" if word and rng.random() < 0.5 else f"{word}{bare}"
    counted = f"一{counter}{named}" if rng.random() < 0.7 else named
    return f"{place}{_pick(('，', '的', ''), rng)}{counted}" if place else counted


def _punctuate(clauses: list[str], language: str, rng: np.random.Generator) -> str:
    if language == "zh":
        return "，".join(clauses) + _pick(("。", ""), rng)
    text = _pick((", ", ", and "), rng).join(clauses)
    if rng.random() < 0.7:
        text = text[0].upper() + text[1:]
    return text + _pick((".", ""), rng)


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
