"""Finds sentences that ask for a return: then a clip that ends as it began follows its sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable

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


def ask_for_return(prompts: Iterable[str]) -> bool:
    """True if a sentence asks for a return, or for a motion that returns by itself, like a jump."""
    return any(_RETURN.search(prompt) for prompt in prompts)
