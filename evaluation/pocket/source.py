"""The cases of a plan over pocket's world: held-out combinations, each in English and in Chinese."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

from evaluation.case import Case, MadeClip
from evaluation.plan.model import Arm, PictureChange, Plan, Sampling, SentenceKind
from evaluation.pocket.pictures import change_spec, picture_file
from evaluation.pocket.sentences import Told, tell
from evaluation.pocket.truth import judge
from evaluation.record import Truth
from pocket.world import LANGUAGES, ClipSpec, list_combinations, sample_spec

_SEED_STRIDE = 1_000_003
_NEXT_SEED = 500_009  # of a clip that is made again with another seed alone
_MOST_ROUNDS = 8


class PocketSource:
    """Every arm takes the same pairs in the same order, but those of which the world has no sentence of its kind."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_id = {arm.id: arm for arm in plan.arm}

    def count_of(self, arm: Arm) -> int:
        """See ``CaseSource``."""
        return self._plan.count_of(arm)

    def case_of(self, arm: Arm, index: int) -> Case:
        """See ``CaseSource``."""
        spec, told, change, number = self._asked(arm, index)
        return Case(
            pair="/".join(self._spec(number).combination),
            language=_language(number),
            seed=self._seed(arm, index, number),
            prompt=told.sentence,
            picture=picture_file(spec, change),
            sampling=Sampling(step_count=arm.sampling.step_count) if arm.remedy == "guidance" else arm.sampling,
        )

    def truth_of(self, arm: Arm, index: int, clip: MadeClip) -> Truth:
        """See ``CaseSource``."""
        spec, told, change, _ = self._asked(arm, index)
        has_fault = change != PictureChange()
        return judge(clip.frames, spec, told, clip.first_frame_psnr_db, with_ceiling=has_fault)

    def _asked(self, arm: Arm, index: int) -> tuple[ClipSpec, Told, PictureChange, int]:
        """The picture's spec, the sentence, the change of the picture file, and the number of the pair."""
        base = self._by_id[arm.redo_of] if arm.redo_of is not None else arm
        number = self._numbers(base)[index // base.seeds]
        spec, seed = self._spec(number), self._plan.seed * _SEED_STRIDE + number
        change = base.picture
        if arm.remedy == "picture":
            if change == PictureChange():  # the fault is not the picture's: another picture of the same combination
                spec = replace(self._spec(number + _MOST_ROUNDS * len(_combinations())), light=spec.light)
            change = PictureChange()
        kind: SentenceKind = "matched" if arm.remedy in {"match", "shorten"} else base.sentence
        told = tell(spec, kind, _language(number), seed)
        assert told is not None
        return change_spec(spec, change, seed), told, change, number

    def _seed(self, arm: Arm, index: int, number: int) -> int:
        base = self._by_id[arm.redo_of] if arm.redo_of is not None else arm
        seed = self._plan.seed * _SEED_STRIDE + number * 100 + index % base.seeds
        return seed + _NEXT_SEED if arm.remedy == "seed" else seed

    def _numbers(self, arm: Arm) -> tuple[int, ...]:
        """Numbers of the pairs of an arm: the first ones of which the world has a sentence of the arm's kind."""
        wanted = self._plan.count_of(arm) // arm.seeds
        return _numbers(self._plan.seed, arm.sentence, wanted)

    def _spec(self, number: int) -> ClipSpec:
        return _specs(self._plan.seed)[number]


@lru_cache(maxsize=64)
def _numbers(plan_seed: int, kind: SentenceKind, wanted: int) -> tuple[int, ...]:
    found = []
    for number, spec in enumerate(_specs(plan_seed)[: _MOST_ROUNDS * len(_combinations())]):
        if tell(spec, kind, _language(number), plan_seed * _SEED_STRIDE + number) is not None:
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
def _specs(plan_seed: int) -> tuple[ClipSpec, ...]:
    """Specs by number: combination after combination, in rounds; the second half serves pictures of remedies."""
    combinations = _combinations()
    rounds = 2 * _MOST_ROUNDS
    found: dict[int, ClipSpec] = {}
    seen: Counter[tuple[str, str, str, str]] = Counter()
    places = {combination: index for index, combination in enumerate(combinations)}
    attempt = plan_seed * _SEED_STRIDE
    while len(found) < rounds * len(combinations):
        spec = sample_spec(attempt, held_out=True)
        attempt += 1
        turn = seen[spec.combination]
        if turn < rounds:
            seen[spec.combination] += 1
            found[turn * len(combinations) + places[spec.combination]] = spec
    return tuple(found[number] for number in range(len(found)))
