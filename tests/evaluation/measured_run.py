"""Folders of runs with stated outcomes, so that every figure of a report can be computed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.matching.success_factors import FAULTLESS
from evaluation.plan.model import Arm, Plan, RemedyPlan
from evaluation.plan.reading import PLAN_NAME, RunPlan
from evaluation.record import CLIPS_NAME, ClipRecord, ClipSettings, Truth
from evaluation.report.evidence import Evidence

MATCHED = Arm(id="matched", group="sentence", title="matched")


def clip(
    arm: str,
    index: int,
    *,
    subject: bool = True,
    motion: bool = True,
    scene: bool = True,
    judge: bool | None = None,
    guidance: float = 1.5,
    steps: int = 20,
    factors: Mapping[str, float] | None = None,
    **other: Any,
) -> ClipRecord:
    """A clip of the pair ``pair INDEX``, in English for even indices; its figures are faultless but for ``factors``."""
    truth = Truth(
        subject=subject,
        motion=motion,
        light=scene,
        scene=scene,
        found="cat/white",
        scene_psnr_db=37.0,
        first_frame_psnr_db=33.0,
        judge_ceiling=judge,
        actions_done=int(motion),
        actions_asked=1,
    )
    settings = ClipSettings(
        width_px=64, height_px=64, frame_count=17, frame_rate=4.0, step_count=steps, guidance_scale=guidance
    )
    given = factors or {}
    values: dict[str, Any] = {
        "arm": arm,
        "index": index,
        "pair": f"pair {index}",
        "language": "zh" if index % 2 else "en",
        "seed": index,
        "prompt": "A white cat jumps.",
        "settings": settings,
        "score": 100.0 * given.get("score", 1.0),
        "verdict": "good",
        "chance": 0.9,
        "chance_basis": "article_prior",
        "pair_factors": {name: given.get(name, value) for name, value in FAULTLESS.items()},
        "clip_factors": {name: given.get(name, value) for name, value in FLAWLESS.items()},
        "clip_chance": None,
        "symptoms": (),
        "remedies": (),
        "truth": truth,
        "seconds": 1.0,
    }
    return ClipRecord(**(values | other))


def clips(arm: str, good: int, count: int, **values: Any) -> Iterator[ClipRecord]:
    """The clips of an arm; the first ``good`` ones succeed, the others lose their subject."""
    return (clip(arm, index, subject=index < good, **values) for index in range(count))


def write_run(
    folder: Path, arms: Sequence[Arm], records: Iterable[ClipRecord], remedies: Sequence[RemedyPlan] = ()
) -> Path:
    """Writes the plan and the clips of a run into a new folder. Returns the folder."""
    folder.mkdir()
    run_plan = RunPlan(
        plan=Plan(name="small", world="pocket", seed=3, count=40, arm=tuple(arms), remedy=tuple(remedies)),
        bundle_name="tiny",
        bundle_digest="0123456789abcdef",
        default_guidance_scale=1.5,
        default_step_count=20,
    )
    (folder / PLAN_NAME).write_text(run_plan.model_dump_json(), encoding="utf-8")
    lines = [record.model_dump_json() + "\n" for record in records]
    (folder / CLIPS_NAME).write_text("".join(lines), encoding="utf-8")
    return folder


def evidence_of(
    folder: Path, arms: Sequence[Arm], records: Iterable[ClipRecord], remedies: Sequence[RemedyPlan] = ()
) -> Evidence:
    """The evidence of a run that is written into a new folder."""
    return Evidence.read(write_run(folder, arms, records, remedies))


def write_json(path: Path, content: object) -> None:
    """Writes a file beside the clips of a run."""
    path.write_text(json.dumps(content), encoding="utf-8")


def rows_of(text: str) -> dict[str, list[str]]:
    """The rows of all tables of a text by their first cell; the last one of equal names."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {first: others for first, *others in cells}
