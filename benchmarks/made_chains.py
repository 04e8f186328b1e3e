"""`python -m benchmarks.made_chains --json FILE`: symptoms of chains that pocket makes.

Makes chains of three segments with another action in each, in steady light, judges each against the drawn chain of the
same stages, and counts the symptoms of good and of failed ones.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine import open_engine
from engine.api.settings import EngineSettings
from pocket.evaluation.made_chains import Made, make_chains
from pocket.settings import BUNDLE_FOLDER
from pocket.world import FRAME_COUNT

_SEGMENT_COUNT = 3


def main(options: Sequence[str] | None = None) -> None:
    """Parse the command line, make and judge the chains, write the counts as JSON, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args(options)
    engine = open_engine(arguments.bundle, EngineSettings())
    added = FRAME_COUNT - engine.capabilities().given_frame_count
    frame_counts = [FRAME_COUNT] + [added] * (_SEGMENT_COUNT - 1)
    made = list(make_chains(engine, frame_counts, arguments.chains, arguments.seed))
    counts = {"good": _counts(made, is_good=True), "failed": _counts(made, is_good=False)}
    arguments.json.write_text(json.dumps({"seed": arguments.seed, **counts}, indent=1) + "\n", encoding="utf-8")
    for name, found in counts.items():
        print(name, dict(found))


def _counts(made: Iterable[Made], *, is_good: bool) -> Counter[str]:
    """The number of chains, of those with any symptom, and of those with each symptom."""
    counts: Counter[str] = Counter()
    for chain in made:
        if chain.is_good is is_good and chain.done.diagnosis is not None:
            kinds = [symptom.kind.value for symptom in chain.done.diagnosis.symptoms]
            counts.update(["chains", *(["any"] if kinds else []), *kinds])
    return counts


if __name__ == "__main__":
    main()
