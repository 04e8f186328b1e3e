"""``python -m evaluation.starter FOLDER [--clips N]``: writes pictures, pairs and plans for a real checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.starter.lists import LANGUAGES, starter_pictures
from evaluation.starter.photographs import PhotographMissing
from evaluation.starter.writing import write_starter_set

_CLIPS = 36


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder. Returns 0, or 1 if a photograph or the folder cannot be used."""
    most = len(starter_pictures()) * len(LANGUAGES)
    parser = argparse.ArgumentParser(prog="python -m evaluation.starter", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--clips",
        type=int,
        default=_CLIPS,
        metavar="N",
        help=f"clips an arm, 1 to {most}, by default {_CLIPS} (python -m evaluation.pilot computes it)",
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.clips <= most:
        parser.error(
            f"--clips {options.clips}: an arm has {most} pairs; give 1 to {most}, or more seeds a pair in the plan"
        )
    try:
        write_starter_set(options.folder, options.clips, _tell)
    except PhotographMissing as error:
        sys.stderr.write(f"evaluation.starter: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"evaluation.starter: cannot write {options.folder}: {error.strerror}; name another folder\n")
        return 1
    sys.stdout.write(
        f"wrote {options.folder}: next, python -m evaluation run --bundle BUNDLE "
        f"--plan {options.folder / 'pilot.toml'} --out {options.folder / 'pilot'}\n"
    )
    return 0


def _tell(written: int, count: int) -> None:
    sys.stderr.write(f"\rpictures: {written} of {count}" + ("\n" if written == count else ""))


if __name__ == "__main__":
    sys.exit(main())
