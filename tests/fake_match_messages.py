"""The fake engine's match report for a grey 32x32 picture and ``serving.PROMPT``, as protobuf messages."""

from __future__ import annotations

from engine.matching.success_factors import FAULTLESS
from stillcue.v1 import match_pb2, media_pb2, picture_report_pb2, prompt_report_pb2

_SUBJECT_BOX = media_pb2.Box(left_px=8, top_px=8, width_px=16, height_px=16)
_FIGURES = {**FAULTLESS, "score": 0.6, "subject": 0.6, "action": 0.6, "coverage_lack": 0.6 - 0.5}  # none is fitted
REPORT = match_pb2.MatchReport(  # "a red fox turns its head": six words
    score=60.0,
    verdict=match_pb2.MATCH_VERDICT_DOUBTFUL,
    similarity=0.6,
    contrast=0.0,
    basis=match_pb2.MATCH_BASIS_UNCALIBRATED,
    clauses=[
        match_pb2.ClauseScore(
            kind=prompt_report_pb2.CLAUSE_KIND_SUBJECT,
            span=prompt_report_pb2.TextSpan(start=0, end=9),
            text="a red fox",
            probability=0.6,
            gated_probability=0.6,
            weight=0.5,
            contrast=0.0,
        ),
        match_pb2.ClauseScore(
            kind=prompt_report_pb2.CLAUSE_KIND_ACTION,
            span=prompt_report_pb2.TextSpan(start=10, end=24),
            text="turns its head",
            stage=1,
            probability=0.6,
            gated_probability=0.6,
            weight=0.3,
            contrast=0.0,
        ),
    ],
    action_plausibility=0.6,
    success=match_pb2.SuccessEstimate(
        probability=0.8974861705090595,  # 1 / (1 + e^(0.156 - 3.876 · 0.6))
        basis=match_pb2.SUCCESS_BASIS_ARTICLE_PRIOR,
        factors=[match_pb2.SuccessFactor(name=name, value=value) for name, value in _FIGURES.items()],
    ),
    grounding=match_pb2.Grounding(
        box=_SUBJECT_BOX, coverage=0.5, strict_coverage=0.25, center_x=0.5, center_y=0.5, center_offset=0.0
    ),
    prompt_report=prompt_report_pb2.PromptReport(
        language="en",
        findings=[
            prompt_report_pb2.PromptFinding(
                code="W18",
                case_name="short",
                severity=prompt_report_pb2.FINDING_SEVERITY_WARNING,
                field="video.frame_count",
                message="1.125 s is too short to show an action.",  # 9 frames of 8 a second; 17 can be had
                suggestion="Ask for 4 to 8 s.",
            )
        ],
    ),
    picture_report=picture_report_pb2.PictureReport(
        format=media_pb2.IMAGE_FORMAT_PNG,
        width_px=32,
        height_px=32,
        sharpness=0.0,
        blockiness=1.0,
        findings=[
            picture_report_pb2.PictureFinding(
                code="blurred",
                severity=prompt_report_pb2.FINDING_SEVERITY_WARNING,
                message="The picture is blurred or has hardly any detail (sharpness 0).",
                suggestion="Use a sharp original: the clip keeps the blur, and the subject's edges drift.",
            ),
            picture_report_pb2.PictureFinding(
                code="small_subject",
                severity=prompt_report_pb2.FINDING_SEVERITY_WARNING,
                message="The subject takes only 50 % of the picture's width or height.",
                suggestion="Crop closer: details stay stable if the subject takes 60 % or more.",
                boxes=[_SUBJECT_BOX],
            ),
        ],
    ),
)
CROPS = [  # of ScoreMatch alone
    match_pb2.CropProposal(
        width_px=32,
        height_px=32,
        crop=media_pb2.Box(left_px=0, top_px=0, width_px=32, height_px=32),
        scale=1.0,
        subject_share=1.0,
        coverage=0.5,
        strict_coverage=0.25,
    ),
    match_pb2.CropProposal(
        width_px=48,
        height_px=32,
        crop=media_pb2.Box(left_px=0, top_px=5, width_px=32, height_px=21),
        scale=1.5,
        subject_share=1.0,
        coverage=16 / 21,
        strict_coverage=16 * 16 / (32 * 21),
    ),
]
