"""Match reports and diagnoses become messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.rpc.codec.enums import (
    WIRE_BASES,
    WIRE_CLAUSE_KINDS,
    WIRE_IMAGE_FORMATS,
    WIRE_REMEDIES,
    WIRE_SEVERITIES,
    WIRE_SUCCESS_BASES,
    WIRE_SYMPTOMS,
    WIRE_VERDICTS,
)
from server.rpc.codec.fields import GENERATE_PATHS
from stillcue.v1 import diagnosis_pb2, match_pb2, media_pb2, picture_report_pb2, prompt_report_pb2

if TYPE_CHECKING:
    from engine.api.diagnosis import ClipMetrics, Diagnosis
    from engine.api.match_report import ClauseScore, CropProposal, Grounding, MatchReport, SuccessEstimate
    from engine.api.media import Box
    from engine.api.picture_report import PictureReport
    from engine.api.prompt_report import Finding, PromptReport, Span


def encode_match_report(report: MatchReport) -> match_pb2.MatchReport:
    """A match report, with the reports on prompt and picture where it has them."""
    return match_pb2.MatchReport(
        score=report.score,
        verdict=WIRE_VERDICTS[report.verdict],
        similarity=report.similarity,
        contrast=report.contrast,
        basis=WIRE_BASES[report.basis],
        clauses=[_encode_clause(item) for item in report.clauses],
        action_plausibility=report.plausibility,
        success=encode_success(report.success) if report.success is not None else None,
        grounding=_encode_grounding(report.grounding) if report.grounding is not None else None,
        missing_nouns=[
            match_pb2.MissingNoun(span=_encode_span(noun.span), text=noun.text) for noun in report.missing_nouns
        ],
        prompt_report=_encode_prompt_report(report.prompt_report) if report.prompt_report is not None else None,
        picture_report=_encode_picture_report(report.picture_report) if report.picture_report is not None else None,
        crops=[_encode_crop(item) for item in report.crops],
        calibration_error=report.calibration_error,
    )


def score_match_response(
    report: MatchReport, heat_map_png: bytes = b"", crop_png: bytes = b""
) -> match_pb2.ScoreMatchResponse:
    """The answer of ScoreMatch, with the pictures that were asked for."""
    return match_pb2.ScoreMatchResponse(
        report=encode_match_report(report), heat_map_png=heat_map_png, crop_png=crop_png
    )


def shortened(report: match_pb2.MatchReport, max_byte_count: int) -> match_pb2.MatchReport:
    """A report that keeps within a size: without factors and rewritten prompt, then without the last of each list."""
    if report.ByteSize() > max_byte_count:
        report.success.ClearField("factors")
        report.prompt_report.ClearField("rewritten_prompt")
        report.prompt_report.ClearField("negative_prompt_additions")
    for items in (report.picture_report.findings, report.prompt_report.findings, report.missing_nouns, report.clauses):
        while items and report.ByteSize() > max_byte_count:
            del items[-1]
    return report


def encode_box(box: Box) -> media_pb2.Box:
    """A rectangle."""
    return media_pb2.Box(left_px=box.left_px, top_px=box.top_px, width_px=box.width_px, height_px=box.height_px)


def encode_diagnosis(diagnosis: Diagnosis) -> diagnosis_pb2.Diagnosis:
    """How a clip came out."""
    suspect, clean = diagnosis_pb2.DIAGNOSIS_OUTCOME_SUSPECT, diagnosis_pb2.DIAGNOSIS_OUTCOME_CLEAN
    return diagnosis_pb2.Diagnosis(
        outcome=suspect if diagnosis.symptoms else clean,
        symptoms=[
            diagnosis_pb2.Symptom(kind=WIRE_SYMPTOMS[item.kind], message=item.message) for item in diagnosis.symptoms
        ],
        remedies=[
            diagnosis_pb2.Remedy(kind=WIRE_REMEDIES[item.kind], message=item.message) for item in diagnosis.remedies
        ],
        metrics=_encode_metrics(diagnosis.metrics),
    )


def _encode_span(span: Span) -> prompt_report_pb2.TextSpan:
    return prompt_report_pb2.TextSpan(start=span.start, end=span.end)


def _encode_clause(clause: ClauseScore) -> match_pb2.ClauseScore:
    return match_pb2.ClauseScore(
        kind=WIRE_CLAUSE_KINDS[clause.kind],
        span=_encode_span(clause.span),
        text=clause.text,
        stage=clause.stage,
        probability=clause.probability,
        gated_probability=clause.gated_probability,
        weight=clause.weight,
        contrast=clause.contrast,
    )


def encode_success(success: SuccessEstimate) -> match_pb2.SuccessEstimate:
    """A probability of success, with the figures that it depends on."""
    return match_pb2.SuccessEstimate(
        probability=success.probability,
        basis=WIRE_SUCCESS_BASES[success.basis],
        brier_score=success.brier_score,
        calibration_error=success.calibration_error,
        factors=[
            match_pb2.SuccessFactor(name=item.name, value=item.value + 0.0, log_odds=item.log_odds + 0.0)  # no -0
            for item in success.factors
        ],
    )


def _encode_grounding(grounding: Grounding) -> match_pb2.Grounding:
    return match_pb2.Grounding(
        box=encode_box(grounding.box) if grounding.box is not None else None,
        coverage=grounding.coverage,
        strict_coverage=grounding.strict_coverage,
        center_x=grounding.center_x,
        center_y=grounding.center_y,
        center_offset=grounding.center_offset,
    )


def _encode_crop(crop: CropProposal) -> match_pb2.CropProposal:
    return match_pb2.CropProposal(
        width_px=crop.width_px,
        height_px=crop.height_px,
        crop=encode_box(crop.crop),
        scale=crop.scale,
        subject_share=crop.subject_share,
        coverage=crop.coverage,
        strict_coverage=crop.strict_coverage,
    )


def _encode_prompt_report(report: PromptReport) -> prompt_report_pb2.PromptReport:
    return prompt_report_pb2.PromptReport(
        language=report.language.value,
        findings=[_encode_finding(item) for item in report.findings],
        rewritten_prompt=report.rewritten_prompt,
        negative_prompt_additions=report.negative_prompt_additions,
    )


def _encode_finding(finding: Finding) -> prompt_report_pb2.PromptFinding:
    return prompt_report_pb2.PromptFinding(
        code=finding.code,
        case_name=finding.case,
        severity=WIRE_SEVERITIES[finding.severity],
        field=GENERATE_PATHS[finding.field],
        span=_encode_span(finding.span) if finding.span is not None else None,
        message=finding.message,
        suggestion=finding.suggestion,
        replacement=finding.replacement,
    )


def _encode_picture_report(report: PictureReport) -> picture_report_pb2.PictureReport:
    return picture_report_pb2.PictureReport(
        format=WIRE_IMAGE_FORMATS[report.format] if report.format is not None else None,
        width_px=report.width_px,
        height_px=report.height_px,
        sharpness=report.sharpness,
        blockiness=report.blockiness,
        lettering_coverage=report.text_coverage,
        findings=[
            picture_report_pb2.PictureFinding(
                code=item.code,
                severity=WIRE_SEVERITIES[item.severity],
                message=item.message,
                suggestion=item.suggestion,
                boxes=[encode_box(box) for box in item.boxes],
            )
            for item in report.findings
        ],
    )


def _encode_metrics(metrics: ClipMetrics) -> diagnosis_pb2.ClipMetrics:
    likeness = metrics.likeness
    return diagnosis_pb2.ClipMetrics(
        vbench_like_subject_consistency=likeness.subject_consistency if likeness is not None else None,
        vbench_like_background_consistency=likeness.background_consistency if likeness is not None else None,
        subject_drift=likeness.subject_drift if likeness is not None else None,
        vbench_like_dynamic_degree=metrics.dynamic_degree,
        motion_speed=metrics.motion_speed,
        vbench_like_temporal_flicker=metrics.temporal_flicker,
        largest_change=metrics.largest_change,
        burnt_gain=metrics.burnt_gain,
        new_content=likeness.new_content if likeness is not None else None,
        edge_gain=metrics.edge_gain,
        saturation_gain=metrics.saturation_gain,
    )
