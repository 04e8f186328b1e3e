"""Finds sentences that ask for a return: then a clip that ends as it began follows its sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

_GOING = "comes?|goes|gets?|turns?|walks?|runs?|swims?|flies|moves?|rolls?|slides?|drives?|steps?|looks?|sails?|floats?"
_GOING_ON = (
    "coming|going|getting|turning|walking|running|swimming|flying|moving|rolling|sliding|driving|stepping|looking"
)
_TO_AND_FRO = "jump|leap|hop|bounce|swing|sway|nod|bob|shake|spin|rotate|twirl"
_TO_AND_FRO_ON = "jumping|leaping|hopping|bouncing|swinging|swaying|nodding|bobbing|shaking|spinning|rotating|twirling"
_ENGLISH = (
    r"return(?:s|ed|ing)?",
    rf"(?:{_GOING}|{_GOING_ON})(?: \w+)? back",
    "back (?:again|to|into|and forth)",
    "to and fro",
    "again|once more",
    rf"(?:{_TO_AND_FRO})s?|{_TO_AND_FRO_ON}",
    "(?:waves?|rocks?) (?:at|goodbye|a|an|his|her|its|their)|waving|rocking|circling",  # waves and rocks are nouns too
)
_CHINESE = "回|返|再次|往复|反复|重新|跳|蹦|弹|摇|摆|晃|点头|挥手|旋转|转圈|绕圈|打转"
_RETURN = re.compile(rf"\b(?:{'|'.join(_ENGLISH)})\b|{_CHINESE}", re.IGNORECASE)
_OPPOSITES = tuple(
    (re.compile(one, re.IGNORECASE), re.compile(other, re.IGNORECASE))
    for one, other in (
        (r"\bleft(?:wards?)?\b|左", r"\bright(?:wards?)?\b|右"),
        (
            r"\b(?:up(?:wards?)?|rises?|rising|climbs?|climbing)\b|上",
            r"\b(?:down(?:wards?)?|sinks?|sinking|falls?)\b|下|沉",
        ),
        (r"\b(?:closer|nearer|towards?|approach(?:es|ing)?)\b|近|过来", r"\b(?:away|distance|backwards?)\b|远|离"),
        (r"\b(?:opens?|opening)\b|打开|睁", r"\b(?:closes?|closing|shuts?)\b|关上|闭"),
    )
)


def ask_for_return(prompts: Sequence[str]) -> bool:
    """True if the sentences ask for a return, for a motion like a jump, or for left after right and the like."""
    if any(_RETURN.search(prompt) for prompt in prompts):
        return True
    return any(_are_opposite(before, after) for before, after in combinations(prompts, 2))


def _are_opposite(before: str, after: str) -> bool:
    return any(
        (one.search(before) and other.search(after)) or (other.search(before) and one.search(after))
        for one, other in _OPPOSITES
    )
