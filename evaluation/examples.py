"""Scores sentences on pictures and writes ``examples.json`` for the report: no clip is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.generate.opening import open_bundle
from evaluation.pair_file import read_pairs
from evaluation.side_files import Example, write_examples


def score_examples(pairs: Path, bundle: Path, folder: Path, *, say: Callable[[str], None]) -> None:
    """Scores every pair of a file, in its order. Raises ``EvaluationError`` or ``BundleInvalid``."""
    engine = open_bundle(bundle, EngineSettings(thread_count=1))
    rows = []
    for pair in read_pairs(pairs):
        report = engine.score_match(Image((pairs.parent / pair.image).read_bytes()), pair.prompt)
        assert report.success is not None
        score, chance = round(report.score, 2), round(report.success.probability, 4)
        rows.append(Example(sentence=pair.prompt, picture=pair.subject, score=score, chance=chance))
        say(f"{report.score:5.1f}  {report.success.probability:.2f}  {pair.prompt}")
    engine.close()
    write_examples(folder, rows)
