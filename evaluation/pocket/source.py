"""The cases of a plan over pocket's world: held-out combinations, each in English and in Chinese."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

from evaluation.case import Case, MadeClip
from evaluation.plan.model import Arm, PictureChange, Plan, SentenceKind
from evaluation.pocket.pictures import change_spec, picture_file
from evaluation.pocket.sentences import Told, tell
from evaluation.pocket.truth import judge
from evaluation.record import Truth
from pocket.world import LANGUAGES, ClipSpec, list_combinations, sample_spec

_MOST_ROUNDS = 8


class PocketSource:
    """Every arm takes the same pairs in the same order, but those of which the world has no sentence of its kind."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def count_of(self, arm: Arm) -> int:
        """See ``CaseSource``."""
        return self._plan.count_of(arm)

    def case_of(self, arm: Arm, index: int) -> Case:
        """See ``CaseSource``."""
        spec, told, number = self._asked(arm, index)
        return Case(
            pair="/".join(self._spec(number).combination),
            language=_language(number),
            seed=self._plan.clip_seed(arm, number, index),
            prompt=told.sentence,
            picture=picture_file(spec, arm.picture),
            sampling=arm.sampling,
        )

    def truth_of(self, arm: Arm, index: int, clip: MadeClip) -> Truth:
        """See ``CaseSource``."""
        spec, told, _ = self._asked(arm, index)
        has_fault = arm.picture != PictureChange()
        return judge(clip.frames, spec, told, clip.first_frame_psnr_db, with_ceiling=has_fault)

    def _asked(self, arm: Arm, index: int) -> tuple[ClipSpec, Told, int]:
        """The picture's spec, the sentence, and the number of the pair."""
        base = self._plan.base_of(arm)
        number = self._numbers(base)[index // base.seeds]
        spec, seed = self._spec(number), self._plan.pair_seed(number)
        if arm.remedy == "picture" and base.picture == arm.picture:  # the fault is not the picture's: another picture
            spec = replace(self._spec(number + _MOST_ROUNDS * len(_combinations())), light=spec.light)
        told = tell(spec, arm.sentence, _language(number), seed)
        assert told is not None
        return change_spec(spec, arm.picture, seed), told, number

    def _numbers(self, arm: Arm) -> tuple[int, ...]:
        """Numbers of the pairs of an arm: the first ones of which the world has a sentence of the arm's kind."""
        return _numbers(self._plan, arm.sentence, self._plan.count_of(arm) // arm.seeds)

    def _spec(self, number: int) -> ClipSpec:
        return _specs(self._plan.pair_seed(0))[number]


@lru_cache(maxsize=64)
def _numbers(plan: Plan, kind: SentenceKind, wanted: int) -> tuple[int, ...]:
    found = []
    for number, spec in enumerate(_specs(plan.pair_seed(0))[: _MOST_ROUNDS * len(_combinations())]):
        if tell(spec, kind, _language(number), plan.pair_seed(number)) is not None:
            found.append(number)
        if len(found) == wanted:
            return tuple(found)
    raise ValueError(f"the world has {len(found)} pairs of the kind {kind}, {wanted} are asked for")


def _combinations() -> tuple[tuple[str, str, str, str], ...]:
    return list_combinations(held_out=True)


def _language(number: int) -> str:
    """Alternates with the pair, and between two rounds of the same combination."""
    turn, place = divmod(number, len(_combinations()))
    return LANGUAGES[(turn + place) % len(LANGUAGES)]


@lru_cache(maxsize=2)
def _specs(first_seed: int) -> tuple[ClipSpec, ...]:
    """Specs by number: combination after combination, in rounds; the second half serves pictures of remedies."""
    combinations = _combinations()
    rounds = 2 * _MOST_ROUNDS
    found: dict[int, ClipSpec] = {}
    seen: Counter[tuple[str, str, str, str]] = Counter()
    places = {combination: index for index, combination in enumerate(combinations)}
    attempt = first_seed
    while len(found) < rounds * len(combinations):
        spec = sample_spec(attempt, held_out=True)
        attempt += 1
        turn = seen[spec.combination]
        if turn < rounds:
            seen[spec.combination] += 1
            found[turn * len(combinations) + places[spec.combination]] = spec
    return tuple(found[number] for number in range(len(found)))
