"""Success with several attempts, against the prediction from single ones."""

from __future__ import annotations

from evaluation.report.evidence import Evidence
from evaluation.report.section import Section, missing
from evaluation.report.side_files import ATTEMPTS_NAME, Attempts
from evaluation.report.wording import percent, share_text, signed, table
from evaluation.statistics.share import Share

WANTED = 0.03


def attempts_section(evidence: Evidence) -> Section:
    """One row for each guidance scale and highest number of attempts."""
    name = "Several attempts"
    attempts = evidence.attempts
    if not attempts:
        return missing(name, f"the folder of the run holds no `{ATTEMPTS_NAME}`.")
    far = sum(abs(_miss(item)) > WANTED for item in attempts)
    text = (
        "Jobs whose clip was made again until the judged success reached the bundle's threshold. Predicted: from the "
        "success of single attempts and the errors of the judged success. "
        f"{len(attempts) - far} of {len(attempts)} predictions are within {100 * WANTED:.0f} points.\n\n"
    )
    heads = ["guidance", "attempts at most", "jobs", "success", "predicted", "success less prediction, points"]
    return Section(name, text + table(heads, map(_row, attempts)))


def _row(item: Attempts) -> list[str]:
    success = share_text(Share(item.success, item.count))
    numbers = [f"{item.guidance:g}", str(item.attempts), str(item.count)]
    return [*numbers, success, percent(item.predicted), signed(100 * _miss(item), 1)]


def _miss(item: Attempts) -> float:
    return (item.success / item.count if item.count else 0.0) - item.predicted
