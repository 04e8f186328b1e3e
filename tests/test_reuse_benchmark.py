"""The benchmark of step reuse: its figures by hand, pairs that are kept, and the table in docs/reuse.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.reuse import _figures_of, _KeptPairs
from benchmarks.reuse_table import PAGE, RESULTS, with_table

_ROOT = Path(__file__).resolve().parents[1]


def _clip(seconds: float, psnr_db: float, motion: float, reused: float = 0.0) -> dict[str, float]:
    times = {"seconds": seconds, "processor_seconds": seconds / 2, "denoise_seconds": seconds - 1.0}
    works = {"full": 20.0 - reused, "guidance_reused": 0.0, "reused": reused}
    return {**times, **works, "psnr_db": psnr_db, "motion": motion, "subject": 1.0}


_PAIRS = [
    {
        "off": _clip(whole, 90.0, 1.0),
        "balanced": _clip(balanced, psnr, motion, reused=8.0),
        "fast": _clip(2.0, 30.0, 1.0, reused=8.0),
        "fewer_steps": _clip(3.0, 30.0, 1.0),
    }
    for whole, balanced, psnr, motion in (
        (5.0, 3.0, 50.0, 1.0),
        (10.0, 6.0, 40.0, 1.0),
        (5.0, 4.0, 45.0, 0.0),
        (9.0, 4.5, 55.0, 1.0),
    )
]


def test_figures_compare_clips_of_the_same_pair() -> None:
    figures = dict(_figures_of(_PAIRS, 20))
    assert figures["balanced_20_time_ratio"] == pytest.approx(0.6)  # of 0.6, 0.6, 0.8 and 0.5
    assert figures["balanced_20_denoise_ratio"] == pytest.approx((2 / 4 + 5 / 9) / 2)
    assert figures["balanced_20_motion_points"] == -25.0
    assert figures["balanced_20_motion_share"] == 0.75
    assert figures["balanced_20_subject_points"] == 0.0
    assert (figures["balanced_20_psnr_db"], figures["balanced_20_lowest_psnr_db"]) == (47.5, 40.0)
    assert (figures["balanced_20_full_step_count"], figures["balanced_20_reused_step_count"]) == (12.0, 8.0)
    assert figures["off_20_seconds"] == 7.0


def test_finished_pairs_are_kept_and_a_torn_line_is_not(tmp_path: Path) -> None:
    kept = _KeptPairs(tmp_path, "digest", None)
    kept.add(20, 0, _PAIRS[0])
    kept.add(40, 0, _PAIRS[1])
    with (tmp_path / "pairs.jsonl").open("a") as stream:
        stream.write('{"source": {"bundle')
    again = _KeptPairs(tmp_path, "digest", None)
    assert again.find(40, 0) == _PAIRS[1]
    assert again.find(40, 1) is None
    again.add(40, 1, _PAIRS[2])
    assert _KeptPairs(tmp_path, "digest", None).find(40, 1) == _PAIRS[2]
    with pytest.raises(SystemExit, match="holds pairs of another bundle or guidance; name another --folder"):
        _KeptPairs(tmp_path, "digest", 3.5)


def test_the_table_of_the_page_has_the_figures_of_the_file() -> None:
    page = (_ROOT / PAGE).read_text(encoding="utf-8")
    figures = json.loads((_ROOT / RESULTS).read_text(encoding="utf-8"))["figures"]
    assert with_table(page, figures) == page
    assert "| 20 | `BALANCED` | 12, 0, 8 | 0.60 | 0.53 | 47.5 | 40.0 | 75.0 % | 100.0 % |" in with_table(
        page, {"clip_count": 4, **dict(_figures_of(_PAIRS, 20))}
    )
