"""Scores sentences on pictures and writes ``examples.json`` for the report: no clip is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.generate.opening import open_bundle
from evaluation.pair_file import read_pairs
from export.atomic_file import write_text

EXAMPLES_NAME = "examples.json"


def score_examples(pairs: Path, bundle: Path, folder: Path, *, say: Callable[[str], None]) -> None:
    """Scores every pair of a file, in its order. Raises ``EvaluationError`` or ``BundleInvalid``."""
    engine = open_bundle(bundle, EngineSettings(thread_count=1))
    rows = []
    for pair in read_pairs(pairs):
        report = engine.score_match(Image((pairs.parent / pair.image).read_bytes()), pair.prompt)
        assert report.success is not None
        rows.append({
            "sentence": pair.prompt,
            "picture": pair.subject,
            "score": round(report.score, 2),
            "chance": round(report.success.probability, 4),
        })  # fmt: skip
        say(f"{report.score:5.1f}  {report.success.probability:.2f}  {pair.prompt}")
    engine.close()
    write_text(folder / EXAMPLES_NAME, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
