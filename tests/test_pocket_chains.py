"""Chains of pocket's drawn world: they go on without a jump, and drawn faults are found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.drawn_chains import table
from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.seams import seam_of, segment_end
from engine.api.chain import Seam
from pocket.evaluation.drawn_chains import KINDS, Drawn, draw_chains, other_actions
from pocket.world import FRAMES_PER_SECOND, OPPOSITE_ACTION, plan_motion, render_clip, sample_spec
from pocket.world.chains import plan_chain, stays_in_sight
from pocket.world.render import render_motion

_SPEC = sample_spec(3, subject="boat", action="moves_left", light="fades")


def test_a_chain_of_one_action_is_the_usual_clip() -> None:
    assert np.array_equal(
        render_motion(_SPEC, plan_chain(_SPEC, ["moves_left"], [17])).frames, render_clip(_SPEC).frames
    )


def test_stages_begin_where_the_last_ended() -> None:
    motion = plan_chain(_SPEC, ["moves_left", "comes_closer", "moves_right"], [17, 12, 12])
    first = plan_motion(_SPEC)
    assert len(motion.centre_x) == 41
    assert motion.centre_x[16] == pytest.approx(first.centre_x[-1])
    assert motion.centre_x[28] == pytest.approx(first.centre_x[-1])  # it came closer only
    assert motion.size[28] == pytest.approx(_SPEC.size * 1.5**_SPEC.extent)
    assert motion.centre_x[-1] == pytest.approx(_SPEC.centre_x)
    for name in ("centre_x", "centre_y", "size"):
        steps = np.abs(np.diff(getattr(motion, name)))
        assert steps.max() < 0.05, name  # nothing jumps
    assert motion.light[-1] == pytest.approx(first.light[-1])  # one change of light over the whole clip


def test_what_leaves_the_picture_is_out_of_sight() -> None:
    assert stays_in_sight(plan_chain(_SPEC, ["moves_left"], [17]))
    assert not stays_in_sight(plan_chain(_SPEC, ["moves_left", "moves_left"], [17, 12]))


def _seam(name: str) -> Seam:
    """The seam of the first drawn chain of this kind, which has two segments."""
    chain: Drawn = next(draw_chains(KINDS[name], 1, 0))
    given, added = chain.frame_counts
    before, after = ClipWatch(given, FRAMES_PER_SECOND), ClipWatch(added, FRAMES_PER_SECOND)
    for frame in chain.frames[:given]:
        before.add(frame)
    for frame in chain.frames[given:]:
        after.add(frame)
    return seam_of(segment_end(before, [chain.frames[given - 1]], None), after, given)


def test_drawn_faults_show_at_the_seam() -> None:
    faultless = _seam("faultless: one action")
    assert faultless.motion_jump < 0.015
    assert faultless.colour_shift < 0.015
    assert _seam("fault: the subject is elsewhere after a seam").motion_jump > 0.02
    assert _seam("fault: other colours after a seam").colour_shift > 0.02


@pytest.mark.parametrize("name", KINDS)
def test_a_drawn_chain_has_a_sentence_for_each_segment(name: str) -> None:
    chain = next(draw_chains(KINDS[name], 1, 1))
    assert len(chain.frames) == sum(chain.frame_counts)
    assert len(chain.prompts) == len(chain.frame_counts) == 2


def test_actions_of_a_chain_differ_and_are_not_opposite() -> None:
    for seed in range(20):
        spec = sample_spec(seed)
        actions = other_actions(spec, 4, np.random.default_rng(seed))
        assert (actions[0], len(actions)) == (spec.action, 4)
        assert all(before != after for before, after in itertools.pairwise(actions))
        assert not {OPPOSITE_ACTION.get(action) for action in actions} & set(actions)


def test_a_table_has_shares_of_chains() -> None:
    counts = {"good": {"chains": 8, "seam_jump": 2, "colour_shift": 0, "loop_back": 8, "subject_drift": 4}}
    assert table(counts).splitlines()[-1] == "| good (8) | 25 % | 0 % | 100 % | 50 % |"
