"""How a clip came out and what to try next: figures of its frames, symptoms, remedies. Knows numpy; knows no model.

Public names: ``ClipWatch`` sees the frames as they come, ``diagnose`` judges what it saw; ``engine.diagnosis.types``
holds what they return. The scorer's features of some frames are the caller's to fetch.
"""

from __future__ import annotations

from engine.diagnosis.judging import Circumstances, diagnose
from engine.diagnosis.likeness import SampledFeatures, likeness_of
from engine.diagnosis.types import ClipMetrics, Diagnosis, Likeness, Remedy, RemedyKind, Symptom, SymptomKind
from engine.diagnosis.watching import ClipWatch

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
