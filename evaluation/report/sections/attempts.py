"""Success with several attempts, against the prediction from single ones."""

from __future__ import annotations

from evaluation.report.evidence import Evidence
from evaluation.report.section import Section, missing
from evaluation.report.wording import percent, share_text, signed, table
from evaluation.side_files import ATTEMPTS_NAME, Attempts
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
        "Jobs through a server whose clip was made again with the next seed until the judged success reached a "
        "threshold. Predicted: the mean over pairs and over every order of the clips that single jobs made of them, so "
        "that each pair keeps its own rate of success and the judge its errors. "
        f"{len(attempts) - far} of {len(attempts)} predictions are within {100 * WANTED:.0f} points. Beside it, what "
        "would follow if every pair failed at the same rate: where that is higher, failures belong to pairs, and "
        "another seed mends few of them.\n\n"
    )
    heads = [
        "guidance",
        "accepted from",
        "attempts at most",
        "jobs",
        "clips",
        "success",
        "predicted",
        "success less prediction, points",
        "predicted, if all pairs were alike",
    ]
    return Section(name, text + table(heads, map(_row, attempts)))


def _row(item: Attempts) -> list[str]:
    success = share_text(Share(item.success, item.count))
    numbers = [f"{item.guidance:g}", f"{item.accept_from:.2g}", str(item.attempts), str(item.count), str(item.clips)]
    predicted = [percent(item.predicted), signed(100 * _miss(item), 1), percent(item.predicted_if_independent)]
    return [*numbers, success, *predicted]


def _miss(item: Attempts) -> float:
    return (item.success / item.count if item.count else 0.0) - item.predicted
