"""The benchmark of chains: stories, judge, seams and figures by hand, chains that are kept, and the tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chains.cases import LightStage, at_end_of, case_of
from benchmarks.chains.figures import Judged, difference_figures, seam_figures, share_figures
from benchmarks.chains.joins import match_colours
from benchmarks.chains.judge import Verdict, judge_chain
from benchmarks.chains.kept_chains import KeptChains
from benchmarks.chains.made_chain import joined
from benchmarks.chains.methods import drawn
from benchmarks.chains.seams import SeamFigures, seams_of
from benchmarks.chains.table import COST_RESULTS, PAGE, RESULTS, with_tables
from pocket.world import is_held_out, render_clip

_ROOT = Path(__file__).resolve().parents[1]
_CLIP = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)


def test_a_story_goes_on_where_the_stage_before_ends() -> None:
    case = case_of(0, 3)
    assert is_held_out(case.stages[0].spec.combination)
    for before, after in zip(case.stages, case.stages[1:], strict=False):
        assert before.spec.action != after.spec.action
        assert before.spec.light == "steady"
        start = at_end_of(before.spec)
        assert (after.spec.centre_x, after.spec.size, after.spec.facing) == (start.centre_x, start.size, start.facing)
    lights = [stage.spec.light for stage in case_of(0, 3, LightStage.ANY).stages]
    assert lights.count("steady") == 2


def test_the_judge_sees_which_stage_stands_still() -> None:
    case = case_of(0, 2)  # to the left, then down while it grows dark
    chain = drawn(case)
    assert chain.starts == (0, 17)
    first, second = chain.parts
    stopped = joined([first, np.repeat(first[-1:], len(second), axis=0)])
    assert judge_chain(stopped, case) == Verdict((True, False), (True, False), subject=True, scene=True)


def test_the_end_of_a_stage_is_drawn_as_the_next_one_begins() -> None:
    first, second = (stage.spec for stage in case_of(0, 2).stages)
    difference = render_clip(first).frames[-1].astype(int) - render_clip(second).frames[0]
    assert np.abs(difference).max() <= 1  # rounding


def test_a_flash_at_a_seam_is_measured() -> None:
    grey = np.full((6, 64, 64, 3), 100, np.uint8)
    (calm,) = seams_of(joined([grey, grey[1:]]), 4.0)
    assert (calm.motion_jump, calm.colour_shift, calm.change) == (0.0, 0.0, 0.0)
    (flash,) = seams_of(joined([grey, grey[1:] + np.uint8(51)]), 4.0)
    assert flash.colour_shift == pytest.approx(0.2)
    assert flash.change == pytest.approx(0.2)
    assert (flash.colour_shift_inside, flash.change_inside) == (0.0, 0.0)


def _judged(motions: tuple[bool, ...], *, subject: bool, jump: float) -> Judged:
    verdict = Verdict(motions, (True,) * len(motions), subject=subject, scene=True)
    return Judged(verdict, [SeamFigures(jump, 0.1, 0.2, 0.1, 0.1, 0.1)])


def test_figures_by_hand() -> None:
    chains = [
        _judged((True, True), subject=True, jump=0.1),
        _judged((True, False), subject=True, jump=0.3),
        _judged((True, True), subject=False, jump=0.2),
        _judged((True, True), subject=True, jump=0.2),
    ]
    shares = dict(share_figures(chains))
    assert (shares["motion_share"], shares["subject_share"], shares["is_right_share"]) == (0.75, 0.75, 0.5)
    assert (shares["motion_of_stage_1_share"], shares["motion_of_stage_2_share"]) == (1.0, 0.75)
    assert shares["motion_share_low"] < 0.75 < shares["motion_share_high"]
    baseline = [_judged((True, False), subject=True, jump=0.1)] * 4
    differences = dict(difference_figures(chains, baseline))
    assert (differences["motion_points"], differences["subject_points"]) == (75.0, -25.0)
    assert 0.0 <= differences["motion_points_low"] < 75.0 < differences["motion_points_high"] <= 100.0
    seams = dict(seam_figures(chains))
    assert seams["motion_jump_ratio"] == pytest.approx(2.0)
    assert seams["colour_shift_ratio"] == pytest.approx(2.0)


def test_finished_chains_are_kept_and_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    kept = KeptChains(tmp_path, "digest")
    assert kept.find("by_hand_2", 0) is None
    kept.keep("by_hand_2", 0, joined([_CLIP, _CLIP[1:]]))
    found = KeptChains(tmp_path, "digest").find("by_hand_2", 0)
    assert found is not None
    assert found.starts == (0, 3)
    assert np.array_equal(found.parts[1], _CLIP[1:])
    (tmp_path / "by_hand_2" / "0000.npz").write_bytes(b"PK torn")
    assert kept.find("by_hand_2", 0) is None
    with pytest.raises(SystemExit, match="chains of another bundle; name another --out"):
        KeptChains(tmp_path, "another digest")


def test_matched_colours_are_those_of_the_first_frame() -> None:
    draw = np.random.default_rng(0)
    first = draw.integers(60, 180, (8, 8, 3), dtype=np.uint8)
    darker = (first * 0.8).astype(np.uint8)
    (matched,) = match_colours([darker], first)
    assert np.abs(matched.astype(int) - first).max() <= 2


def test_the_tables_of_the_page_have_the_figures_of_the_files() -> None:
    page = (_ROOT / PAGE).read_text(encoding="utf-8")
    figures, cost = (
        json.loads((_ROOT / file).read_text(encoding="utf-8"))["figures"] for file in (RESULTS, COST_RESULTS)
    )
    assert with_tables(page, figures, cost) == page
    with pytest.raises(ValueError, match="lacks the markers of the table chains"):
        with_tables("# Another page\n", figures, cost)
