"""How a clip came out and what to try next: figures of its frames, symptoms, remedies. Knows numpy; knows no model.

Public names: ``ClipWatch`` sees the frames as they come, ``diagnose`` judges what it saw; ``engine.api.diagnosis``
holds what they return. The scorer's features of some frames are the caller's to fetch.
"""

from __future__ import annotations

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.judgement import Circumstances, diagnose
from engine.analysis.diagnosis.likeness import SampledFeatures, likeness_of
from engine.api.diagnosis import ClipMetrics, Diagnosis, Likeness, Remedy, RemedyKind, Symptom, SymptomKind

__all__ = [
    "Circumstances",
    "ClipMetrics",
    "ClipWatch",
    "Diagnosis",
    "Likeness",
    "Remedy",
    "RemedyKind",
    "SampledFeatures",
    "Symptom",
    "SymptomKind",
    "diagnose",
    "likeness_of",
]
