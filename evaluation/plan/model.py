"""A plan as its TOML file states it, and the arms that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluation.record import RemedyName

Group = Literal["sentence", "actions", "picture", "guidance", "steps", "remedy"]
SentenceKind = Literal[
    "matched",
    "wrong_subject",
    "wrong_colour",
    "wrong_scene",
    "implausible_action",
    "vague",
    "no_subject",
    "subject_last",
    "abstract",
    "actions_unordered",
    "actions_ordered",
    "too_many_actions",
]
RightRemedy = Literal["match", "shorten", "picture", "guidance"]
MATCHED = "matched"
"""The arm without a fault, and its kind of sentence."""
_SEED_STRIDE = 1_000_003  # of plans
_PAIR_STRIDE = 100  # of pairs, above the seeds of one pair
_NEXT_SEED = 500_009  # of a clip that is made again with another seed alone
_STRICT = ConfigDict(frozen=True, extra="forbid")


class PictureChange(BaseModel):
    """Changes of the pictures of an arm.

    For every source: ``jpeg_quality`` 1..100 stores the picture as JPEG; ``stretched`` or ``cropped`` bring a 3:2 part
    of it to the clip's shape. For drawn pictures alone: ``size``, the subject's side as a share of the picture's;
    ``off_centre``, the distance of the subject's centre from the middle as a share of the width; ``distractor``, a
    second subject; ``lettering``, words on the scene.
    """

    model_config = _STRICT

    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    stretched: bool = False
    cropped: bool = False
    size: Annotated[float, Field(gt=0, le=1)] | None = None
    off_centre: Annotated[float, Field(ge=0, lt=0.5)] | None = None
    distractor: bool = False
    lettering: str = ""


class Sampling(BaseModel):
    """Settings of the sampler; None takes the bundle's own. One scale holds for both experts."""

    model_config = _STRICT

    guidance_scale: Annotated[float, Field(ge=1)] | None = None
    step_count: Annotated[int, Field(ge=1)] | None = None


class Arm(BaseModel):
    """One condition.

    ``sentence``: the kind of sentence for drawn pictures, or the ``arm`` of the pairs in a file. ``count``: number of
    pairs; ``seeds``: clips of each pair with seeds one apart. ``right_remedy`` undoes what the arm does wrong; None:
    the arm is not wrong. ``compare_with``: the arm without the fault. ``advice``: the advice that the arm breaks.
    ``untold``: why the model of this plan cannot tell about that advice. ``redo_of`` and ``remedy``: the arm makes the
    failed clips of another arm again.
    """

    model_config = _STRICT

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\+[a-z]+)?$")]
    group: Group
    title: str
    sentence: SentenceKind = "matched"
    picture: PictureChange = PictureChange()
    sampling: Sampling = Sampling()
    count: Annotated[int, Field(ge=1)] | None = None
    seeds: Annotated[int, Field(ge=1)] = 1
    right_remedy: RightRemedy | None = None
    compare_with: str = MATCHED
    advice: str | None = None
    untold: str | None = None
    redo_of: str | None = None
    remedy: RemedyName | None = None


class RemedyPlan(BaseModel):
    """Makes failed clips of the arms ``of`` again, the first ``most`` of each, once with each of ``remedies``."""

    model_config = _STRICT

    of: tuple[str, ...]
    remedies: tuple[RemedyName, ...]
    most: Annotated[int, Field(ge=1)] = 25


class Plan(BaseModel):
    """A plan. ``world`` "pocket" draws the pairs; else ``pairs`` names a file of them, beside the plan.

    ``count``: pairs of every arm that states none. ``seed``: the first of the plan's seeds.
    """

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    world: Literal["pocket"] | None = None
    pairs: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] = 100
    arm: Annotated[tuple[Arm, ...], Field(min_length=1)]
    remedy: tuple[RemedyPlan, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        ids = [arm.id for arm in self.arm]
        if (self.world is None) == (self.pairs is None):
            raise ValueError('state either world = "pocket" or pairs = "FILE.jsonl"')
        if repeated := sorted({item for item in ids if ids.count(item) > 1}):
            raise ValueError(f"arm id {repeated[0]!r} occurs twice")
        asked = [*(arm.compare_with for arm in self.arm if arm.compare_with != MATCHED)]
        asked += [item for plan in self.remedy for item in plan.of]
        if unknown := sorted(set(asked) - set(ids)):
            raise ValueError(f"there is no arm {unknown[0]!r}")
        return self

    def count_of(self, arm: Arm) -> int:
        """Clips of an arm that is no remedy."""
        return (arm.count or self.count) * arm.seeds

    def arm_of(self, arm_id: str) -> Arm:
        """The arm with this id; one that the plan does not name raises ``KeyError``."""
        return {arm.id: arm for arm in self.all_arms()}[arm_id]

    def base_of(self, arm: Arm) -> Arm:
        """The arm whose failed clips ``arm`` makes again, else ``arm`` itself. Both have the same pairs."""
        return arm if arm.redo_of is None else next(item for item in self.arm if item.id == arm.redo_of)

    def pair_seed(self, pair_number: int) -> int:
        """The seed of what is drawn of a pair: picture and wording."""
        return self.seed * _SEED_STRIDE + pair_number

    def clip_seed(self, arm: Arm, pair_number: int, index: int) -> int:
        """The seed of the noise of a clip, the ``index``-th of its arm."""
        seed = self.seed * _SEED_STRIDE + pair_number * _PAIR_STRIDE + index % self.base_of(arm).seeds
        return seed + _NEXT_SEED if arm.remedy == "seed" else seed

    def all_arms(self) -> tuple[Arm, ...]:
        """The arms of the plan, then those that make failed clips again."""
        return (*self.arm, *self.remedy_arms())

    def remedy_arms(self) -> Iterator[Arm]:
        """An arm for each remedy of each arm, with the id "arm+remedy": the arm without what the remedy undoes."""
        by_id = {arm.id: arm for arm in self.arm}
        for plan in self.remedy:
            for base in (by_id[item] for item in plan.of):
                for name in plan.remedies:
                    yield base.model_copy(
                        update={
                            "id": f"{base.id}+{name}",
                            "group": "remedy",
                            "title": f"{base.title}, again with {_REMEDY_TITLES[name]}",
                            "compare_with": base.id,
                            "redo_of": base.id,
                            "count": plan.most,
                            "remedy": name,
                            "advice": None,
                            **_undone(base, name),
                        }
                    )


_REMEDY_TITLES: dict[RemedyName, str] = {
    "match": "a sentence that matches",
    "shorten": "one action",
    "picture": "another picture",
    "guidance": "the model's own guidance scale",
    "seed": "another seed alone",
}


def _undone(arm: Arm, remedy: RemedyName) -> dict[str, Any]:
    """Fields of an arm that a remedy changes."""
    match remedy:
        case "match" | "shorten":
            return {"sentence": MATCHED}
        case "picture":
            return {"picture": PictureChange()}
        case "guidance":
            return {"sampling": Sampling(step_count=arm.sampling.step_count)}
        case "seed":
            return {}
