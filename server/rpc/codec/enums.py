"""Enums of the wire and of the domain, side by side. Both directions; nothing else."""

from __future__ import annotations

from engine.api.capabilities import Family
from engine.api.diagnosis import RemedyKind, SymptomKind
from engine.api.events import Expert, Stage
from engine.api.job import MatchMode, PictureFit
from engine.api.match_report import MatchBasis, MatchVerdict, SuccessBasis
from engine.api.media import FrameEncoding, ImageFormat
from engine.api.prompt_report import ClauseKind, Severity
from stillcue.v1 import capabilities_pb2, diagnosis_pb2, generate_pb2, match_pb2, media_pb2, prompt_report_pb2

IMAGE_FORMATS: dict[int, ImageFormat | None] = {
    media_pb2.IMAGE_FORMAT_UNSPECIFIED: None,
    media_pb2.IMAGE_FORMAT_PNG: ImageFormat.PNG,
    media_pb2.IMAGE_FORMAT_JPEG: ImageFormat.JPEG,
    media_pb2.IMAGE_FORMAT_WEBP: ImageFormat.WEBP,
}
FRAME_ENCODINGS: dict[int, FrameEncoding] = {
    media_pb2.FRAME_ENCODING_UNSPECIFIED: FrameEncoding.PNG,
    media_pb2.FRAME_ENCODING_RAW_RGB: FrameEncoding.RAW_RGB,
    media_pb2.FRAME_ENCODING_PNG: FrameEncoding.PNG,
    media_pb2.FRAME_ENCODING_JPEG: FrameEncoding.JPEG,
    media_pb2.FRAME_ENCODING_WEBP: FrameEncoding.WEBP,
}
MATCH_MODES: dict[int, MatchMode | None] = {
    match_pb2.MATCH_MODE_UNSPECIFIED: None,
    match_pb2.MATCH_MODE_OFF: MatchMode.OFF,
    match_pb2.MATCH_MODE_REPORT: MatchMode.REPORT,
    match_pb2.MATCH_MODE_REQUIRE: MatchMode.REQUIRE,
}
PICTURE_FITS: dict[int, PictureFit | None] = {
    media_pb2.PICTURE_FIT_UNSPECIFIED: None,
    media_pb2.PICTURE_FIT_CROP_SUBJECT: PictureFit.CROP_SUBJECT,
    media_pb2.PICTURE_FIT_CROP_CENTER: PictureFit.CROP_CENTER,
    media_pb2.PICTURE_FIT_PAD: PictureFit.PAD,
    media_pb2.PICTURE_FIT_REFUSE: PictureFit.REFUSE,
}
WIRE_IMAGE_FORMATS: dict[ImageFormat, media_pb2.ImageFormat] = {
    ImageFormat.PNG: media_pb2.IMAGE_FORMAT_PNG,
    ImageFormat.JPEG: media_pb2.IMAGE_FORMAT_JPEG,
    ImageFormat.WEBP: media_pb2.IMAGE_FORMAT_WEBP,
}
WIRE_PICTURE_FITS: dict[PictureFit, media_pb2.PictureFit] = {
    PictureFit.CROP_SUBJECT: media_pb2.PICTURE_FIT_CROP_SUBJECT,
    PictureFit.CROP_CENTER: media_pb2.PICTURE_FIT_CROP_CENTER,
    PictureFit.PAD: media_pb2.PICTURE_FIT_PAD,
    PictureFit.REFUSE: media_pb2.PICTURE_FIT_REFUSE,
}
WIRE_CLAUSE_KINDS: dict[ClauseKind, prompt_report_pb2.ClauseKind] = {
    ClauseKind.SUBJECT: prompt_report_pb2.CLAUSE_KIND_SUBJECT,
    ClauseKind.ACTION: prompt_report_pb2.CLAUSE_KIND_ACTION,
    ClauseKind.ENVIRONMENT: prompt_report_pb2.CLAUSE_KIND_ENVIRONMENT,
    ClauseKind.CAMERA: prompt_report_pb2.CLAUSE_KIND_CAMERA,
    ClauseKind.STYLE: prompt_report_pb2.CLAUSE_KIND_STYLE,
}
WIRE_SEVERITIES: dict[Severity, prompt_report_pb2.FindingSeverity] = {
    Severity.ERROR: prompt_report_pb2.FINDING_SEVERITY_ERROR,
    Severity.WARNING: prompt_report_pb2.FINDING_SEVERITY_WARNING,
    Severity.INFO: prompt_report_pb2.FINDING_SEVERITY_INFO,
}
WIRE_SUCCESS_BASES: dict[SuccessBasis, match_pb2.SuccessBasis] = {
    SuccessBasis.ARTICLE_PRIOR: match_pb2.SUCCESS_BASIS_ARTICLE_PRIOR,
    SuccessBasis.MEASURED: match_pb2.SUCCESS_BASIS_MEASURED,
}
WIRE_SYMPTOMS: dict[SymptomKind, diagnosis_pb2.SymptomKind] = {
    SymptomKind.SCENE_CUT: diagnosis_pb2.SYMPTOM_KIND_SCENE_CUT,
    SymptomKind.SUBJECT_DRIFT: diagnosis_pb2.SYMPTOM_KIND_SUBJECT_DRIFT,
    SymptomKind.MATCH_LOSS: diagnosis_pb2.SYMPTOM_KIND_MATCH_LOSS,
    SymptomKind.FROZEN: diagnosis_pb2.SYMPTOM_KIND_FROZEN,
    SymptomKind.FLICKER: diagnosis_pb2.SYMPTOM_KIND_FLICKER,
    SymptomKind.BURNT_COLOURS: diagnosis_pb2.SYMPTOM_KIND_BURNT_COLOURS,
    SymptomKind.FIRST_FRAME: diagnosis_pb2.SYMPTOM_KIND_FIRST_FRAME,
    SymptomKind.POOR_MATCH: diagnosis_pb2.SYMPTOM_KIND_POOR_MATCH,
}
WIRE_REMEDIES: dict[RemedyKind, diagnosis_pb2.RemedyKind] = {
    RemedyKind.MATCH: diagnosis_pb2.REMEDY_KIND_MATCH,
    RemedyKind.SHORTEN: diagnosis_pb2.REMEDY_KIND_SHORTEN,
    RemedyKind.PICTURE: diagnosis_pb2.REMEDY_KIND_PICTURE,
    RemedyKind.GUIDANCE: diagnosis_pb2.REMEDY_KIND_GUIDANCE,
}
WIRE_FRAME_ENCODINGS: dict[FrameEncoding, media_pb2.FrameEncoding] = {
    FrameEncoding.RAW_RGB: media_pb2.FRAME_ENCODING_RAW_RGB,
    FrameEncoding.PNG: media_pb2.FRAME_ENCODING_PNG,
    FrameEncoding.JPEG: media_pb2.FRAME_ENCODING_JPEG,
    FrameEncoding.WEBP: media_pb2.FRAME_ENCODING_WEBP,
}
WIRE_STAGES: dict[Stage, generate_pb2.Stage] = {
    Stage.MATCH: generate_pb2.STAGE_MATCH,
    Stage.ENCODE_TEXT: generate_pb2.STAGE_ENCODE_TEXT,
    Stage.ENCODE_IMAGE: generate_pb2.STAGE_ENCODE_IMAGE,
    Stage.DENOISE: generate_pb2.STAGE_DENOISE,
    Stage.DECODE: generate_pb2.STAGE_DECODE,
}
WIRE_EXPERTS: dict[Expert, generate_pb2.Expert] = {
    Expert.HIGH_NOISE: generate_pb2.EXPERT_HIGH_NOISE,
    Expert.LOW_NOISE: generate_pb2.EXPERT_LOW_NOISE,
    Expert.SINGLE: generate_pb2.EXPERT_SINGLE,
}
WIRE_VERDICTS: dict[MatchVerdict, match_pb2.MatchVerdict] = {
    MatchVerdict.GOOD: match_pb2.MATCH_VERDICT_GOOD,
    MatchVerdict.DOUBTFUL: match_pb2.MATCH_VERDICT_DOUBTFUL,
    MatchVerdict.POOR: match_pb2.MATCH_VERDICT_POOR,
}
WIRE_BASES: dict[MatchBasis, match_pb2.MatchBasis] = {
    MatchBasis.UNCALIBRATED: match_pb2.MATCH_BASIS_UNCALIBRATED,
    MatchBasis.CALIBRATED: match_pb2.MATCH_BASIS_CALIBRATED,
}
WIRE_FAMILIES: dict[Family, capabilities_pb2.ModelFamily] = {
    Family.WAN22_I2V_A14B: capabilities_pb2.MODEL_FAMILY_WAN22_I2V_A14B,
    Family.WAN22_TI2V_5B: capabilities_pb2.MODEL_FAMILY_WAN22_TI2V_5B,
}
