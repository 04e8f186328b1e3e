"""Seams and drift of chains, from synthetic frames and vectors."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.analysis.diagnosis.clip_watch import ClipWatch, mean_colour
from engine.analysis.diagnosis.flow import displacements, largest_displacement
from engine.analysis.diagnosis.likeness import SampledFeatures, SampleVectors, sample_vectors
from engine.analysis.diagnosis.loop_back import chain_drift
from engine.analysis.diagnosis.seams import colour_shift, motion_jump, seam_of, segment_end
from engine.api.chain import ChainDrift, Seam, SegmentEnd
from engine.api.media import Box

Pixels = NDArray[np.uint8]
_RATE = 16.0  # pairs of frames are two frames apart
_BLOCKS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
_WALL = np.asarray(Pillow.fromarray(_BLOCKS).resize((192, 128), Pillow.Resampling.BICUBIC))


def _frame(x: int, tint: int = 0) -> Pixels:
    """128x128 of a wall that moves by ``x`` px to the left; at 64 px that is half as far."""
    shown = np.roll(_WALL, -x, axis=1)[:, :128].astype(np.int64)
    return np.clip(shown // 2 + 50 + tint, 0, 255).astype(np.uint8)


def _watched(frames: Sequence[Pixels], rate: float = _RATE) -> ClipWatch:
    watch = ClipWatch(len(frames), rate)
    for frame in frames:
        watch.add(frame)
    return watch


def _seam(before: Sequence[Pixels], after: Sequence[Pixels], rate: float = _RATE) -> Seam:
    end = segment_end(_watched(before, rate), before[-1:], None)
    return seam_of(pickle.loads(pickle.dumps(end)), _watched(after, rate), len(before))  # an end crosses a process


_MOVING = [_frame(2 * index) for index in range(9)]  # 2 px a frame: a pair moves by 2 px of 64


def test_a_motion_that_goes_on_has_no_jump() -> None:
    seam = _seam(_MOVING, [_frame(2 * index) for index in range(9, 17)])
    assert (seam.frame_index, seam.motion_jump_inside) == (9, 0.0)
    assert seam.motion_jump == 0.0
    assert seam.colour_shift < 0.005


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([16] * 8, 2 / 64),  # stops
        ([16 - 2 * index for index in range(1, 9)], 4 / 64),  # turns round
        ([16 + 4 * index for index in range(1, 9)], 2 / 64),  # twice as fast
    ],
)
def test_a_change_of_motion_at_the_seam_is_measured(positions: list[int], expected: float) -> None:
    seam = _seam(_MOVING, [_frame(x) for x in positions])
    assert seam.motion_jump == pytest.approx(expected, abs=0.006)
    assert seam.motion_jump_inside == 0.0


def test_a_cut_at_the_seam_is_a_jump() -> None:
    other = np.ascontiguousarray(_frame(0)[::-1, ::-1])
    assert _seam([_frame(0)] * 5, [other] * 4).motion_jump > 0.03


def test_the_seam_is_measured_between_the_frames_beside_it() -> None:
    """Six frames, of which the pairs of the watch end at the fifth: the last pair is measured anew."""
    frames = [_frame(2 * index) for index in range(6)]
    assert len(_watched(frames).fields) == 2
    assert _seam(frames, [_frame(2 * index) for index in range(6, 12)]).motion_jump == 0.0


def test_a_segment_may_add_fewer_frames_than_a_pair_spans() -> None:
    assert _seam(_MOVING, [_frame(18)]).motion_jump == pytest.approx(0.0, abs=0.006)  # 1 px in half the time
    assert _seam([_frame(0)], [_frame(0)]).motion_jump == 0.0


def test_the_jump_of_two_fields_by_hand() -> None:
    before, after = np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0], [1.0, 2.0]])
    assert motion_jump(before, after) == pytest.approx(5 / 2 / 64)


def test_a_shift_of_colours_at_the_seam_is_measured() -> None:
    seam = _seam([_frame(0)] * 5, [_frame(0, tint=10)] * 4)
    assert seam.colour_shift == pytest.approx(10 / 255, abs=1e-6)
    assert (seam.colour_shift_inside, seam.motion_jump) == (0.0, 0.0)  # a shift of colours is no motion
    fading = [_frame(0, tint=4 * index) for index in range(9)]
    assert _seam(fading[:5], fading[5:]).colour_shift_inside == pytest.approx(4 / 255, abs=1e-6)


def test_mean_colours_by_hand() -> None:
    frame = np.zeros((2, 4, 3), np.uint8)
    frame[0, :, 0], frame[:, :2, 2] = 255, 51
    assert mean_colour(frame).tolist() == pytest.approx([0.5, 0.0, 0.1])
    assert colour_shift(np.array([0.5, 0.0, 0.1]), np.array([0.4, 0.1, 0.2])) == pytest.approx(0.1)


def test_displacements_are_those_of_each_block() -> None:
    """Equal to the search block by block, for every offset in turn, that the sums replace."""
    rng = np.random.default_rng(1)
    before, after = (rng.integers(0, 256, (16, 24)).astype(np.int16) for _ in range(2))
    before[:8, :8] = after[3:11, 2:10]  # the first block is found again 3 lower and 2 to the right
    found = displacements(before, after)
    assert found.tolist() == [_by_hand(before, after, row, column) for row in (0, 8) for column in (0, 8, 16)]
    assert found[0].tolist() == [3, 2]
    assert largest_displacement(found) == pytest.approx(np.hypot(*found.T.astype(float)).max() / 64)


def _by_hand(before: NDArray[np.int16], after: NDArray[np.int16], row: int, column: int) -> list[int]:
    padded, block = np.pad(after, 6, mode="edge"), before[row : row + 8, column : column + 8]
    costs: dict[tuple[int, int], float] = {}
    for y in range(-6, 7):
        for x in range(-6, 7):
            shown = padded[row + y + 6 : row + y + 14, column + x + 6 : column + x + 14]
            costs[y, x] = float(np.abs(shown - block).mean()) - (1.0 if (y, x) == (0, 0) else 0.0)
    return list(min((cost, y**2 + x**2, y, x) for (y, x), cost in costs.items())[2:])


def test_one_flow_for_each_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seam adds two flows at most: before it where the pairs do not end at the last frame, and across it."""
    calls = []

    def counted(*pair: NDArray[np.int16]) -> NDArray[np.int8]:
        calls.append(pair)
        return displacements(*pair)

    monkeypatch.setattr("engine.analysis.diagnosis.clip_watch.displacements", counted)
    monkeypatch.setattr("engine.analysis.diagnosis.seams.displacements", counted)
    _seam(_MOVING, _MOVING)
    assert len(calls) == 4 + 4 + 1
    calls.clear()
    _seam(_MOVING[:8], _MOVING)
    assert len(calls) == 3 + 1 + 4 + 1


def _unit(angle: float) -> list[float]:
    return [float(np.cos(angle)), float(np.sin(angle))]


def _ends(angles: Sequence[float], sample_count: int = 4) -> list[SegmentEnd]:
    """Segments of four samples, one frame in two; subject and content turn by these angles."""
    vectors = np.array([_unit(angle) for angle in angles], np.float32)
    return [
        SegmentEnd(
            (),
            sample_indices=tuple(range(2 * start, 2 * (start + sample_count), 2)),
            subject=vectors[start : start + sample_count],
            content=vectors[start : start + sample_count],
        )
        for start in range(0, len(angles), sample_count)
    ]


def test_drift_by_hand() -> None:
    """Twelve samples at frames 0, 2 … 22; the last quarter begins with frame 18, so it has three of them."""
    angles = [0.0, 0.1, 0.2, 0.3, 0.6, 0.9, 1.2, 0.9, 0.6, 0.3, 0.2, 0.1]
    drift = chain_drift(_ends(angles))
    late, between = np.cos([0.3, 0.2, 0.1]).mean(), np.cos([0.6, 0.9, 1.2, 0.9, 0.6]).mean()
    assert drift.subject_consistency == pytest.approx(late, abs=1e-6)
    assert drift.loop_back == pytest.approx(late - between, abs=1e-6)


@pytest.mark.parametrize("segment_count", [2, 3, 6])
def test_who_moves_away_or_stays_does_not_loop(segment_count: int) -> None:
    away = np.linspace(0.0, 1.5, 4 * segment_count)
    assert chain_drift(_ends(list(away))).loop_back == 0.0
    assert chain_drift(_ends([0.0] * 4 * segment_count)) == ChainDrift(1.0, 0.0)
    back = chain_drift(_ends([*away[: 2 * segment_count], *away[: 2 * segment_count][::-1]]))
    assert back.loop_back is not None
    assert back.loop_back > 0.1


def test_motion_inside_the_first_segment_is_no_loop() -> None:
    assert chain_drift(_ends([0.0, 0.8, 0.4, 0.0, *[0.0] * 8])).loop_back == 0.0


def test_a_chain_without_samples_has_no_figures() -> None:
    assert chain_drift([]) == ChainDrift(None, None)
    assert chain_drift([SegmentEnd(()), SegmentEnd(())]) == ChainDrift(None, None)
    assert chain_drift(_ends([0.0] * 4)).loop_back == 0.0  # one segment has nothing between


def test_vectors_of_whole_frames_tell_where_something_is() -> None:
    """Of 6x6 patches one corner differs; in the other frame it is the opposite corner. The mean does not change."""
    patches = np.tile(np.array([1.0, 0.0], np.float32), (2, 36, 1))
    patches[0, 0] = patches[1, 35] = [0.0, 1.0]
    vectors = sample_vectors(SampledFeatures(patches, 60, 60), Box(0, 0, 10, 10), (5, 9))
    assert vectors.indices == (5, 9)
    assert vectors.subject.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert np.linalg.norm(vectors.content, axis=1) == pytest.approx([1.0, 1.0])
    assert vectors.content.shape == (2, 32)
    first, last = 3 / np.hypot(3, 1), 0.0  # of 16 cells the first has 2x2 patches, the last has one
    assert float(vectors.content[0] @ vectors.content[1]) == pytest.approx((14 + first + last) / 16)


def test_an_end_keeps_what_the_review_of_the_chain_needs() -> None:
    watch = _watched(_MOVING)
    vectors = SampleVectors((0, 8), np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    end = segment_end(watch, _MOVING[-2:], vectors)
    assert (len(end.frames), end.sample_indices) == (2, (0, 8))
    assert (len(end.motion_jumps), len(end.colour_shifts)) == (3, 8)
    assert end.displacements is not None
    assert end.displacements.dtype == np.int8
    assert chain_drift([pickle.loads(pickle.dumps(end))]) == chain_drift([end])
