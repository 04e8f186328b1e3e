"""Makes the sentences of a picture: one for each arm, in the order subject, action, change around it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from evaluation.plan.model import MATCHED
from evaluation.starter.lists import Kind, Scene, StarterPicture, Words


@dataclass(frozen=True)
class _Parts:
    """Words for one picture."""

    kind: Kind
    scene: Scene
    subject: str
    recoloured: str


def sentences(picture: StarterPicture, language: str, words: Words) -> dict[str, str]:
    """Return {arm: sentence} of a picture; every arm but ``matched`` has one fault, or asks for more at once."""
    kind = words.kinds[picture.kind]
    parts = _Parts(
        kind,
        words.scenes[picture.scene],
        kind.phrase.format(colour=words.colours[picture.colour]),
        kind.phrase.format(colour=words.wrong_colours[picture.colour]),
    )
    build, finish = (_english, _with_capital_and_articles) if language == "en" else (_chinese, _unchanged)
    return {arm: finish(text) for arm, text in build(parts).items()}


def _english(parts: _Parts) -> dict[str, str]:
    kind, scene = parts.kind, parts.scene
    actions = kind.actions
    stages = ", then ".join(actions[:-1])

    def one(subject: str, place: str, action: str) -> str:
        return f"{subject} {place} {action}, {scene.change}."

    return {
        **_with_one_change(parts, one),
        "vague": f"the {kind.noun} {scene.place} moves.",
        "no_subject": f"{kind.pronoun} {actions[0]}, {scene.change}.",
        "abstract": f"a dynamic {kind.noun} {scene.place} {actions[0]}, stunning and epic.",
        "actions_unordered": f"{parts.subject} {scene.place} {actions[0]}, {actions[1]} and {actions[2]}.",
        "actions_ordered": (
            f"{parts.subject} {scene.place} first {actions[0]}, then {actions[1]} and finally {actions[2]}."
        ),
        "too_many_actions": f"{parts.subject} {scene.place} {stages} and finally {actions[-1]}.",
    }


def _chinese(parts: _Parts) -> dict[str, str]:
    kind, scene = parts.kind, parts.scene
    actions = kind.actions
    stages = "，然后".join(actions[:-1])

    def one(subject: str, place: str, action: str) -> str:
        return f"{subject}{place}{action}，{scene.change}。"

    return {
        **_with_one_change(parts, one),
        "vague": f"{kind.noun}{scene.place}动起来。",
        "no_subject": f"{kind.pronoun}{actions[0]}，{scene.change}。",
        "abstract": f"充满活力的{kind.noun}{scene.place}{actions[0]}，画面极具张力。",
        "actions_unordered": f"{parts.subject}{scene.place}{actions[0]}，{actions[1]}，{actions[2]}。",
        "actions_ordered": f"{parts.subject}{scene.place}先{actions[0]}，然后{actions[1]}，最后{actions[2]}。",
        "too_many_actions": f"{parts.subject}{scene.place}{stages}，最后{actions[-1]}。",
    }


def _with_one_change(parts: _Parts, one: Callable[[str, str, str], str]) -> dict[str, str]:
    """The matching sentence, and those that differ from it in one part. ``one`` joins subject, place and action."""
    kind, scene = parts.kind, parts.scene
    action = kind.actions[0]
    return {
        MATCHED: one(parts.subject, scene.place, action),
        "wrong_subject": one(kind.wrong, scene.place, action),
        "wrong_colour": one(parts.recoloured, scene.place, action),
        "wrong_scene": one(parts.subject, scene.wrong, action),
        "implausible_action": one(parts.subject, scene.place, kind.implausible),
    }


def _with_capital_and_articles(text: str) -> str:
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[0].upper() + text[1:]


def _unchanged(text: str) -> str:
    return text
