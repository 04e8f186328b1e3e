"""Turns measurements of a chain, and the diagnoses of its segments, into symptoms and remedies of the whole chain.

As for a clip each remedy sums up its evidence. Remedies of a segment count less the later the segment lists them. A
later segment begins from a frame that the chain made: there another sentence takes the place of a match with the
picture, and a shorter chain that of another picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.analysis.diagnosis.chain_metrics import chain_metrics
from engine.analysis.diagnosis.chain_symptoms import ChainSymptom, chain_symptoms
from engine.analysis.diagnosis.messages import Evidence, remedies_from, segment_symptom, symptom_of
from engine.api.chain import ChainDrift, Seam
from engine.api.diagnosis import Diagnosis, RemedyKind, Symptom, SymptomKind
from engine.api.match_report import MatchReport
from engine.api.prompt_report import Language
from engine.bundle.diagnosis_spec import DiagnosisSpec

_GOOD_SCORE, _DOUBTFUL_SCORE = 70.0, 40.0
_SHORTER_CASES = {
    SymptomKind.SEAM_JUMP: "seam",
    SymptomKind.COLOUR_SHIFT: "seam",
    SymptomKind.LOOP_BACK: "loop",
    SymptomKind.SUBJECT_DRIFT: "drift",
}
_LATER_REMEDIES = {RemedyKind.MATCH: RemedyKind.OTHER_STAGE, RemedyKind.PICTURE: RemedyKind.SHORTER_CHAIN}


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """A complete segment: sentence, number of frames that it added, its own diagnosis, match, and seam before it."""

    number: int
    prompt: str
    frame_count: int
    diagnosis: Diagnosis
    report: MatchReport | None = None
    seam: Seam | None = None


def diagnose_chain(segments: Sequence[SegmentFacts], drift: ChainDrift, spec: DiagnosisSpec | None = None) -> Diagnosis:
    """The diagnosis of a chain, by the bundle's thresholds or else the default ones.

    Symptoms of the whole chain come first, then those of single segments, one of each kind.
    """
    language = _language(segments)
    seams = {item.number: item.seam for item in segments if item.seam is not None}
    whole = list(chain_symptoms(seams, drift, [item.prompt for item in segments], spec or DiagnosisSpec()))
    symptoms = [symptom_of(item.kind, language, **item.values) for item in whole]
    symptoms += _of_segments(segments, {item.kind for item in whole}, language)
    evidence = [*_for_chain(whole, segments), *_for_segments(segments)] if symptoms else []
    metrics = chain_metrics([(item.diagnosis.metrics, item.frame_count) for item in segments])
    return Diagnosis(tuple(symptoms), remedies_from(evidence, language), metrics)


def _of_segments(segments: Sequence[SegmentFacts], of_chain: set[SymptomKind], language: Language) -> Iterator[Symptom]:
    """Symptoms of segments that the whole chain has not, each with the message of the first segment with it."""
    found: dict[SymptomKind, list[tuple[int, str]]] = {}
    for segment in segments:
        for symptom in segment.diagnosis.symptoms:
            found.setdefault(symptom.kind, []).append((segment.number, symptom.message))
    for kind in SymptomKind:
        if kind in found and kind not in of_chain:
            numbers = ", ".join(str(number) for number, _ in found[kind])
            yield segment_symptom(kind, language, numbers, found[kind][0][1])


def _for_chain(whole: Sequence[ChainSymptom], segments: Sequence[SegmentFacts]) -> Iterator[Evidence]:
    """Evidence from the symptoms of the whole chain, and from the segment that matches its first frame least."""
    for item in whole:
        values = {"count": str(len(segments)), **item.values}
        yield Evidence(RemedyKind.SHORTER_CHAIN, 1.0, _SHORTER_CASES[item.kind], values)
        if item.kind is SymptomKind.SEAM_JUMP:
            yield Evidence(RemedyKind.OTHER_STAGE, 1.0, "jump", item.values)
    scored = [(item.report.score, item.number) for item in segments if item.report is not None and item.number > 1]
    score, number = min(scored, default=(100.0, 0))
    if score < _GOOD_SCORE:
        weight = 3.0 if score < _DOUBTFUL_SCORE else 1.5
        yield Evidence(RemedyKind.OTHER_STAGE, weight, "poor", {"segment": str(number), "score": f"{score:.0f}"})


def _for_segments(segments: Sequence[SegmentFacts]) -> Iterator[Evidence]:
    """Evidence from the remedies of single segments."""
    for segment in segments:
        for place, remedy in enumerate(segment.diagnosis.remedies, start=1):
            number, kind = str(segment.number), _LATER_REMEDIES.get(remedy.kind)
            if segment.number > 1 and kind is not None:
                yield Evidence(kind, 1.0 / place, "usual", {"segment": number})
            else:
                values = {"segment": number, "advice": remedy.message}
                yield Evidence(remedy.kind, 1.0 / place, "segment", values)


def _language(segments: Sequence[SegmentFacts]) -> Language:
    """Language of the messages: that of the first sentence."""
    report = segments[0].report
    prompt = report.prompt_report if report is not None else None
    return Language.ZH if prompt is not None and prompt.language is Language.ZH else Language.EN
