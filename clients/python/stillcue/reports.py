"""Converts protobuf messages to match reports and diagnoses. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stillcue import diagnosis, match
from stillcue.v1 import diagnosis_pb2, match_pb2, media_pb2, picture_report_pb2, prompt_report_pb2
from stillcue.wire_enums import member

if TYPE_CHECKING:
    from stillcue.v1.match_pb2 import ScoreMatchResponse


def decode_match_report(message: match_pb2.MatchReport) -> match.MatchReport:
    """Returns the match report of a message, without pictures."""
    return match.MatchReport(
        score=message.score,
        verdict=member(match.MatchVerdict, match_pb2.MatchVerdict, "MATCH_VERDICT", message.verdict),
        similarity=message.similarity,
        contrast=message.contrast,
        basis=member(match.MatchBasis, match_pb2.MatchBasis, "MATCH_BASIS", message.basis),
        clauses=tuple(map(_clause, message.clauses)),
        action_plausibility=message.action_plausibility if message.HasField("action_plausibility") else None,
        success=decode_success(message.success) if message.HasField("success") else None,
        grounding=_grounding(message.grounding) if message.HasField("grounding") else None,
        missing_nouns=tuple(match.MissingNoun(_span(item.span), item.text) for item in message.missing_nouns),
        prompt_report=_prompt_report(message.prompt_report) if message.HasField("prompt_report") else None,
        picture_report=_picture_report(message.picture_report) if message.HasField("picture_report") else None,
        crops=tuple(map(_crop, message.crops)),
        calibration_error=message.calibration_error if message.HasField("calibration_error") else None,
    )


def decode_score(message: ScoreMatchResponse) -> match.MatchReport:
    """Returns the match report of a ScoreMatch response with its heat map and crop."""
    report = decode_match_report(message.report)
    return replace(report, heat_map_png=message.heat_map_png, crop_png=message.crop_png)


def decode_box(message: media_pb2.Box) -> match.Box:
    """Returns the rectangle of a message."""
    return match.Box(message.left_px, message.top_px, message.width_px, message.height_px)


def decode_diagnosis(message: diagnosis_pb2.Diagnosis) -> diagnosis.Diagnosis:
    """Returns the diagnosis of a message."""
    return diagnosis.Diagnosis(
        outcome=member(
            diagnosis.DiagnosisOutcome, diagnosis_pb2.DiagnosisOutcome, "DIAGNOSIS_OUTCOME", message.outcome
        ),
        symptoms=tuple(
            diagnosis.Symptom(
                member(diagnosis.SymptomKind, diagnosis_pb2.SymptomKind, "SYMPTOM_KIND", item.kind), item.message
            )
            for item in message.symptoms
        ),
        remedies=tuple(
            diagnosis.Remedy(
                member(diagnosis.RemedyKind, diagnosis_pb2.RemedyKind, "REMEDY_KIND", item.kind), item.message
            )
            for item in message.remedies
        ),
        metrics=_metrics(message.metrics),
    )


def _span(message: prompt_report_pb2.TextSpan) -> match.TextSpan:
    return match.TextSpan(message.start, message.end)


def _clause(message: match_pb2.ClauseScore) -> match.ClauseScore:
    return match.ClauseScore(
        kind=member(match.ClauseKind, prompt_report_pb2.ClauseKind, "CLAUSE_KIND", message.kind),
        span=_span(message.span),
        text=message.text,
        stage=message.stage,
        probability=message.probability if message.HasField("probability") else None,
        gated_probability=message.gated_probability if message.HasField("gated_probability") else None,
        weight=message.weight,
        contrast=message.contrast if message.HasField("contrast") else None,
    )


def decode_success(message: match_pb2.SuccessEstimate) -> match.SuccessEstimate:
    """Returns the probability of success of a message."""
    return match.SuccessEstimate(
        probability=message.probability,
        basis=member(match.SuccessBasis, match_pb2.SuccessBasis, "SUCCESS_BASIS", message.basis),
        brier_score=message.brier_score if message.HasField("brier_score") else None,
        calibration_error=message.calibration_error if message.HasField("calibration_error") else None,
        factors=tuple(match.SuccessFactor(item.name, item.value, item.log_odds) for item in message.factors),
    )


def _grounding(message: match_pb2.Grounding) -> match.Grounding:
    return match.Grounding(
        box=decode_box(message.box) if message.HasField("box") else None,
        coverage=message.coverage,
        strict_coverage=message.strict_coverage,
        center_x=message.center_x,
        center_y=message.center_y,
        center_offset=message.center_offset,
    )


def _crop(message: match_pb2.CropProposal) -> match.CropProposal:
    return match.CropProposal(
        width_px=message.width_px,
        height_px=message.height_px,
        crop=decode_box(message.crop),
        scale=message.scale,
        subject_share=message.subject_share,
        coverage=message.coverage,
        strict_coverage=message.strict_coverage,
    )


def _severity(number: int) -> match.FindingSeverity:
    return member(match.FindingSeverity, prompt_report_pb2.FindingSeverity, "FINDING_SEVERITY", number)


def _prompt_report(message: prompt_report_pb2.PromptReport) -> match.PromptReport:
    return match.PromptReport(
        language=message.language,
        findings=tuple(
            match.PromptFinding(
                code=item.code,
                case_name=item.case_name,
                severity=_severity(item.severity),
                field=item.field,
                span=_span(item.span) if item.HasField("span") else None,
                message=item.message,
                suggestion=item.suggestion,
                replacement=item.replacement if item.HasField("replacement") else None,
            )
            for item in message.findings
        ),
        rewritten_prompt=message.rewritten_prompt if message.HasField("rewritten_prompt") else None,
        negative_prompt_additions=tuple(message.negative_prompt_additions),
    )


def _picture_report(message: picture_report_pb2.PictureReport) -> match.PictureReport:
    return match.PictureReport(
        format=media_pb2.ImageFormat.Name(message.format).removeprefix("IMAGE_FORMAT_")
        if message.format in media_pb2.ImageFormat.values()
        else "UNKNOWN",
        width_px=message.width_px,
        height_px=message.height_px,
        sharpness=message.sharpness,
        blockiness=message.blockiness,
        lettering_coverage=message.lettering_coverage,
        findings=tuple(
            match.PictureFinding(
                code=item.code,
                severity=_severity(item.severity),
                message=item.message,
                suggestion=item.suggestion,
                boxes=tuple(map(decode_box, item.boxes)),
            )
            for item in message.findings
        ),
    )


def _metrics(message: diagnosis_pb2.ClipMetrics) -> diagnosis.ClipMetrics:
    subject, background = "vbench_like_subject_consistency", "vbench_like_background_consistency"
    return diagnosis.ClipMetrics(
        vbench_like_subject_consistency=getattr(message, subject) if message.HasField(subject) else None,
        vbench_like_background_consistency=getattr(message, background) if message.HasField(background) else None,
        subject_drift=message.subject_drift if message.HasField("subject_drift") else None,
        vbench_like_dynamic_degree=message.vbench_like_dynamic_degree,
        motion_speed=message.motion_speed,
        vbench_like_temporal_flicker=message.vbench_like_temporal_flicker,
        largest_change=message.largest_change,
        burnt_gain=message.burnt_gain,
        new_content=message.new_content if message.HasField("new_content") else None,
        edge_gain=message.edge_gain if message.HasField("edge_gain") else None,
        saturation_gain=message.saturation_gain if message.HasField("saturation_gain") else None,
    )
