"""Precision and recall of the prompt report's rules: ``python -m benchmarks.prompt_findings --json FILE``.

Reads the prompts in ``tests/prompts``, labelled by hand; ``docs/findings.md`` describes each set. Prints precision and
recall of each finding; ``--misses development`` prints the prompts of one set whose findings differ from the label.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.analysis.prompt.clauses import parse_clauses
from engine.analysis.prompt.findings import finding_table
from engine.analysis.prompt.report import report_prompt
from engine.api.prompt_report import ModelRange, PromptReport, Span

PROMPTS = Path(__file__).parent.parent / "tests" / "prompts"
SETS = ("development", "validation", "held_out", "pasted_development", "pasted_held_out")


@dataclass(frozen=True)
class Score:
    """Counts of one finding over a set of prompts; repeated findings in a prompt count once."""

    code: str
    positive_count: int
    negative_count: int
    hit_count: int
    false_alarm_count: int

    @property
    def precision(self) -> float:
        """Share of the reported findings that are labelled; 1 if none is reported."""
        reported = self.hit_count + self.false_alarm_count
        return self.hit_count / reported if reported else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled findings that are reported; 1 if none is labelled."""
        return self.hit_count / self.positive_count if self.positive_count else 1.0


def labelled(name: str) -> Sequence[dict[str, Any]]:
    """Returns the prompts of one set: text, settings and labelled finding codes."""
    lines = (PROMPTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def report_on(row: dict[str, Any]) -> PromptReport:
    """Returns the report on a labelled prompt, with the row's ``absent`` nouns treated as missing in the picture."""
    absent = set(row.get("absent", ()))
    nouns = [noun for clause in parse_clauses(row["text"]) for noun in clause.nouns]
    spans: list[Span] = [noun.span for noun in nouns if noun.text in absent]
    return report_prompt(
        row["text"],
        guidance_scale=row.get("guidance_scale"),
        duration_seconds=row.get("duration_seconds"),
        negative_prompt=row.get("negative_prompt"),
        token_count=row.get("token_count"),
        absent_nouns=spans,
        model=ModelRange(row.get("default_guidance_scale"), row.get("native_seconds")),
    )


def scores(rows: Sequence[dict[str, Any]]) -> Sequence[Score]:
    """Returns a score for each finding of the table; a row with ``checked`` counts for those findings only."""
    results = [(row, {finding.code for finding in report_on(row).findings}) for row in rows]
    return [_score(code, results) for code in finding_table()]


def misses(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields a readable line for each prompt whose report differs from its label."""
    for row in rows:
        found = {finding.code for finding in report_on(row).findings}
        expected, checked = set(row["codes"]), set(row.get("checked", finding_table()))
        if (found ^ expected) & checked:
            missing, extra = sorted((expected - found) & checked), sorted((found - expected) & checked)
            yield f"missing {' '.join(missing) or '-':12} extra {' '.join(extra) or '-':12} {row['text']}"


def main() -> None:
    """Prints a table for each set and, with ``--json``, writes the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="file to write the scores to")
    parser.add_argument("--misses", choices=SETS, help="print the prompts of one set that are reported wrongly")
    options = parser.parse_args()
    if options.misses:
        print("\n".join(misses(labelled(options.misses))))
        return
    report = {}
    for name in SETS:
        rows = labelled(name)
        print(f"{name}: {len(rows)} prompts\ncode  positive negative precision recall")
        for score in scores(rows):
            counts = f"{score.positive_count:8} {score.negative_count:8}"
            print(f"{score.code:5} {counts} {score.precision:9.2f} {score.recall:6.2f}")
        report[name] = [
            {**asdict(score), "precision": score.precision, "recall": score.recall} for score in scores(rows)
        ]
    if options.json:
        partial = options.json.with_name(options.json.name + ".partial")
        partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        partial.replace(options.json)


def _score(code: str, results: Sequence[tuple[dict[str, Any], set[str]]]) -> Score:
    known = [(row, found) for row, found in results if code in row.get("checked", [code])]
    positive = [found for row, found in known if code in row["codes"]]
    negative = [found for row, found in known if code not in row["codes"]]
    hits = sum(code in found for found in positive)
    return Score(code, len(positive), len(negative), hits, sum(code in found for found in negative))


if __name__ == "__main__":
    main()
