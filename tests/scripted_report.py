"""A match report and a diagnosis with a value in every field, as messages and as the client's types."""

from __future__ import annotations

import stillcue
from stillcue.v1 import diagnosis_pb2, match_pb2, media_pb2, picture_report_pb2, prompt_report_pb2

REPORT_MESSAGE = match_pb2.MatchReport(  # of "A boat leaves the harbour, make it epic."
    score=62.5,
    verdict=match_pb2.MATCH_VERDICT_DOUBTFUL,
    similarity=0.25,
    contrast=-1.5,
    basis=match_pb2.MATCH_BASIS_UNCALIBRATED,
    clauses=[
        match_pb2.ClauseScore(
            kind=prompt_report_pb2.CLAUSE_KIND_ACTION,
            span=prompt_report_pb2.TextSpan(start=7, end=25),
            text="leaves the harbour",
            stage=1,
            probability=0.5,
            gated_probability=0.25,
            weight=0.3,
            contrast=-0.75,
        ),
        match_pb2.ClauseScore(
            kind=prompt_report_pb2.CLAUSE_KIND_STYLE,
            span=prompt_report_pb2.TextSpan(start=27, end=39),
            text="make it epic",
        ),
    ],
    action_plausibility=0.5,
    success=match_pb2.SuccessEstimate(
        probability=0.875,
        basis=match_pb2.SUCCESS_BASIS_MEASURED,
        brier_score=0.125,
        calibration_error=0.0625,
        factors=[
            match_pb2.SuccessFactor(name="subject", value=0.5, log_odds=-0.0625),
            match_pb2.SuccessFactor(name="guidance_above", value=0.25, log_odds=-1.5),
        ],
    ),
    grounding=match_pb2.Grounding(
        box=media_pb2.Box(left_px=1, top_px=2, width_px=3, height_px=4),
        coverage=0.5,
        strict_coverage=0.25,
        center_x=0.75,
        center_y=0.625,
        center_offset=0.125,
    ),
    missing_nouns=[match_pb2.MissingNoun(span=prompt_report_pb2.TextSpan(start=18, end=25), text="harbour")],
    prompt_report=prompt_report_pb2.PromptReport(
        language="en",
        findings=[
            prompt_report_pb2.PromptFinding(
                code="W09",
                case_name="abstract",
                severity=prompt_report_pb2.FINDING_SEVERITY_WARNING,
                field="prompt",
                span=prompt_report_pb2.TextSpan(start=35, end=39),
                message="Nobody can film epic.",
                suggestion="Leave it out.",
                replacement="",
            ),
            prompt_report_pb2.PromptFinding(
                code="W19",
                case_name="extreme",
                severity=prompt_report_pb2.FINDING_SEVERITY_ERROR,
                field="sampling.guidance_scale",
                message="Guidance 12.",
                suggestion="Lower it.",
            ),
        ],
        rewritten_prompt="A boat leaves the harbour.",
        negative_prompt_additions=["lettering"],
    ),
    picture_report=picture_report_pb2.PictureReport(
        format=media_pb2.IMAGE_FORMAT_JPEG,
        width_px=640,
        height_px=480,
        sharpness=100.0,
        blockiness=1.25,
        lettering_coverage=0.125,
        findings=[
            picture_report_pb2.PictureFinding(
                code="lettering",
                severity=prompt_report_pb2.FINDING_SEVERITY_INFO,
                message="A watermark.",
                suggestion="Crop it.",
                boxes=[media_pb2.Box(left_px=5, top_px=6, width_px=7, height_px=8)],
            )
        ],
    ),
    crops=[
        match_pb2.CropProposal(
            width_px=48,
            height_px=32,
            crop=media_pb2.Box(left_px=9, top_px=10, width_px=11, height_px=12),
            scale=1.5,
            subject_share=1.0,
            coverage=0.75,
            strict_coverage=0.5,
        )
    ],
    calibration_error=0.03125,
)
REPORT = stillcue.MatchReport(
    62.5,
    stillcue.MatchVerdict.DOUBTFUL,
    0.25,
    -1.5,
    stillcue.MatchBasis.UNCALIBRATED,
    clauses=(
        stillcue.ClauseScore(
            stillcue.ClauseKind.ACTION, stillcue.TextSpan(7, 25), "leaves the harbour", 1, 0.5, 0.25, 0.3, -0.75
        ),
        stillcue.ClauseScore(
            stillcue.ClauseKind.STYLE, stillcue.TextSpan(27, 39), "make it epic", 0, None, None, 0.0, None
        ),
    ),
    action_plausibility=0.5,
    success=stillcue.SuccessEstimate(
        0.875,
        stillcue.SuccessBasis.MEASURED,
        0.125,
        0.0625,
        (stillcue.SuccessFactor("subject", 0.5, -0.0625), stillcue.SuccessFactor("guidance_above", 0.25, -1.5)),
    ),
    grounding=stillcue.Grounding(stillcue.Box(1, 2, 3, 4), 0.5, 0.25, 0.75, 0.625, 0.125),
    missing_nouns=(stillcue.MissingNoun(stillcue.TextSpan(18, 25), "harbour"),),
    prompt_report=stillcue.PromptReport(
        "en",
        (
            stillcue.PromptFinding(
                "W09",
                "abstract",
                stillcue.FindingSeverity.WARNING,
                "prompt",
                stillcue.TextSpan(35, 39),
                "Nobody can film epic.",
                "Leave it out.",
                "",
            ),
            stillcue.PromptFinding(
                "W19",
                "extreme",
                stillcue.FindingSeverity.ERROR,
                "sampling.guidance_scale",
                None,
                "Guidance 12.",
                "Lower it.",
                None,
            ),
        ),
        "A boat leaves the harbour.",
        ("lettering",),
    ),
    picture_report=stillcue.PictureReport(
        "JPEG",
        640,
        480,
        100.0,
        1.25,
        0.125,
        (
            stillcue.PictureFinding(
                "lettering",
                stillcue.FindingSeverity.INFO,
                "A watermark.",
                "Crop it.",
                (stillcue.Box(5, 6, 7, 8),),
            ),
        ),
    ),
    crops=(stillcue.CropProposal(48, 32, stillcue.Box(9, 10, 11, 12), 1.5, 1.0, 0.75, 0.5),),
    calibration_error=0.03125,
)
DIAGNOSIS_MESSAGE = diagnosis_pb2.Diagnosis(
    outcome=diagnosis_pb2.DIAGNOSIS_OUTCOME_SUSPECT,
    symptoms=[diagnosis_pb2.Symptom(kind=diagnosis_pb2.SYMPTOM_KIND_FROZEN, message="Hardly anything moves.")],
    remedies=[
        diagnosis_pb2.Remedy(kind=diagnosis_pb2.REMEDY_KIND_SHORTEN, message="One action."),
        diagnosis_pb2.Remedy(kind=diagnosis_pb2.REMEDY_KIND_GUIDANCE, message="More guidance."),
    ],
    metrics=diagnosis_pb2.ClipMetrics(
        vbench_like_subject_consistency=0.5,
        vbench_like_background_consistency=0.75,
        subject_drift=0.25,
        vbench_like_dynamic_degree=0.125,
        motion_speed=0.375,
        vbench_like_temporal_flicker=0.875,
        largest_change=0.0625,
        burnt_gain=0.03125,
        new_content=0.1875,
        edge_gain=-0.5,
        saturation_gain=0.3125,
    ),
)
DIAGNOSIS = stillcue.Diagnosis(
    stillcue.DiagnosisOutcome.SUSPECT,
    (stillcue.Symptom(stillcue.SymptomKind.FROZEN, "Hardly anything moves."),),
    (
        stillcue.Remedy(stillcue.RemedyKind.SHORTEN, "One action."),
        stillcue.Remedy(stillcue.RemedyKind.GUIDANCE, "More guidance."),
    ),
    stillcue.ClipMetrics(0.5, 0.75, 0.25, 0.125, 0.375, 0.875, 0.0625, 0.03125, 0.1875, -0.5, 0.3125),
)
