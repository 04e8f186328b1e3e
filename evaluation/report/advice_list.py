"""The article's advice. An arm of a plan that breaks an advice names it by its id."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.report.evidence import MATCH_ADVICE
from evaluation.report.guidance_ranges import ABOVE_HIGHEST, BELOW_ADVISED


@dataclass(frozen=True, slots=True)
class Advice:
    """``range_name``: the comparison of guidance scales that tells. ``remedy``: the remedy that applies the advice."""

    id: str
    title: str
    range_name: str | None = None
    remedy: str | None = None


LENGTH = "length"
ADVICE = (
    Advice(MATCH_ADVICE, "picture and sentence match"),
    Advice("subject_first", "the sentence begins with the subject"),
    Advice("stages", "actions are told in stages"),
    Advice("concrete_words", "concrete words"),
    Advice(LENGTH, "clips of 4 to 8 seconds"),
    Advice("subject_centred", "the subject in the centre"),
    Advice("subject_large", "the subject on at least 60 % of the picture"),
    Advice("no_distractors", "no distractors"),
    Advice("lossless", "a lossless picture"),
    Advice("no_stretching", "no stretching"),
    Advice("guidance_7_to_9", "guidance 7 to 9", range_name=BELOW_ADVISED),
    Advice("guidance_above_10", "guidance never above 10", range_name=ABOVE_HIGHEST),
    Advice("one_action", "in trouble: one action", remedy="shorten"),
    Advice("another_picture", "in trouble: another picture", remedy="picture"),
)
