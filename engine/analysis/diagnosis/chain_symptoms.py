"""Decides which symptoms a chain has as a whole, from its seams and its drift, against thresholds of the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.analysis.diagnosis.returns import ask_for_return
from engine.api.chain import ChainDrift, Seam
from engine.api.diagnosis import SymptomKind
from engine.bundle.diagnosis_spec import DiagnosisSpec


@dataclass(frozen=True, slots=True)
class ChainSymptom:
    """A symptom of a chain, with the words of its message.

    ``segment`` is the number of the segment that begins at the seam with the symptom; None for symptoms of no seam.
    """

    kind: SymptomKind
    values: Mapping[str, str] = field(default_factory=dict)
    segment: int | None = None


def chain_symptoms(
    seams: Mapping[int, Seam], drift: ChainDrift, prompts: Sequence[str], spec: DiagnosisSpec
) -> Iterator[ChainSymptom]:
    """The symptoms, most serious first, each at the seam where it is strongest.

    ``seams`` are by the number of the segment that begins there; ``prompts`` are the sentences of all segments.
    """
    jumps = {number: seam for number, seam in seams.items() if _jumps(seam, spec)}
    if jumps:
        number, seam = max(jumps.items(), key=lambda item: item[1].motion_jump)
        yield _at_seam(SymptomKind.SEAM_JUMP, number, seam, seam.motion_jump, seam.motion_jump_inside)
    shifts = {number: seam for number, seam in seams.items() if _shifts(seam, spec)}
    if shifts:
        number, seam = max(shifts.items(), key=lambda item: item[1].colour_shift)
        yield _at_seam(SymptomKind.COLOUR_SHIFT, number, seam, seam.colour_shift, seam.colour_shift_inside)
    if drift.loop_back is not None and drift.loop_back > spec.loop_back_above and not ask_for_return(prompts):
        yield ChainSymptom(SymptomKind.LOOP_BACK, {"likeness": _percent(drift.loop_back)})
    if drift.subject_consistency is not None and 1.0 - drift.subject_consistency > spec.chain_drift_above:
        yield ChainSymptom(SymptomKind.SUBJECT_DRIFT, {"drift": _percent(1.0 - drift.subject_consistency)})


def _jumps(seam: Seam, spec: DiagnosisSpec) -> bool:
    return seam.motion_jump > max(spec.seam_jump_above, spec.seam_jump_factor * seam.motion_jump_inside)


def _shifts(seam: Seam, spec: DiagnosisSpec) -> bool:
    return seam.colour_shift > max(spec.colour_shift_above, spec.colour_shift_factor * seam.colour_shift_inside)


def _at_seam(kind: SymptomKind, number: int, seam: Seam, value: float, inside: float) -> ChainSymptom:
    frame = str(seam.frame_index)
    values = {"segment": str(number), "frame": frame, "value": _percent(value), "inside": _percent(inside)}
    return ChainSymptom(kind, values, number)


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f}"
