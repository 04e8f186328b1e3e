"""`python -m pocket.bundle`: exports the trained checkpoint into a bundle that the server can load.

Runs `python -m export` on BUNDLE/checkpoint with pocket's options, then `python -m export.calibrate` on synthetic
picture-sentence pairs. The scorer's figures go to BUNDLE/scorer_evaluation.json.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from engine.bundle.folder import MANIFEST_NAME, parse_manifest
from export.__main__ import main as export
from export.atomic_file import write_text
from export.calibrate.__main__ import main as calibrate
from pocket.pairs import HALVES, write_pairs
from pocket.settings import BUNDLE_FOLDER, CHECKPOINT_NAME
from pocket.world import FRAME_COUNT, FRAMES_PER_SECOND, PICTURE_PX

FIGURES_NAME = "scorer_evaluation.json"
_STEP_COUNT = 20
_GUIDANCE_SCALE = 1.5


def main(arguments: list[str] | None = None) -> int:
    """Export the checkpoint inside the bundle's folder, calibrate its scorer, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pocket.bundle", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER, help="folder with checkpoint/ inside")
    parser.add_argument("--pictures", type=int, default=150, help="pictures per half of the pairs; 0: no calibration")
    parser.add_argument("--calibrate-only", action="store_true", help="leave the graphs as they are")
    parser.add_argument(
        "--keep-fits", action="store_true", help="export the graphs again and keep the scorer's fits and thresholds"
    )
    parser.add_argument("--plot", type=Path, help="reliability plot of the scorer, SVG")
    options = parser.parse_args(arguments)
    if options.keep_fits:
        return _export_again(options.bundle)
    status = 0 if options.calibrate_only else _export(options.bundle)
    if status == 0 and options.pictures:
        return calibrate_scorer(options.bundle, options.pictures, options.plot)
    return status


def calibrate_scorer(bundle: Path, picture_count: int, plot: Path | None = None) -> int:
    """Fit the scorer's probabilities on one half of the pairs, test them on the other; return the exit status."""
    with tempfile.TemporaryDirectory() as name:
        fitting, held_out = (write_pairs(Path(name), half, picture_count) for half in HALVES)
        options = ["--held-out", held_out, "--json", bundle / FIGURES_NAME, *(("--plot", plot) if plot else ())]
        return calibrate([str(bundle), str(fitting), *map(str, options)])


def _export_again(bundle: Path) -> int:
    """Exports the graphs with the scorer entry of the bundle that is there, whose weights must be the same."""
    before = parse_manifest(bundle)
    status = _export(bundle)
    if status != 0:
        return status
    after = parse_manifest(bundle)
    if after.checkpoint_digest != before.checkpoint_digest:
        raise SystemExit(f"{bundle}: the checkpoint changed, so its fits no longer hold; leave --keep-fits out")
    kept = after.with_changes(scorer=before.scorer)
    write_text(bundle / MANIFEST_NAME, kept.to_json(indent=1) + "\n")
    return 0


def _export(bundle: Path) -> int:
    options = {
        "--out": bundle,
        "--size": f"{PICTURE_PX}x{PICTURE_PX}",
        "--frames": FRAME_COUNT,
        "--steps": _STEP_COUNT,
        "--guidance": _GUIDANCE_SCALE,
        "--guidance-low-noise": _GUIDANCE_SCALE,
        "--frame-rate": FRAMES_PER_SECOND,
        "--negative-prompt": "",
        "--name": "pocket",
    }
    return export([str(bundle / CHECKPOINT_NAME), *(str(part) for pair in options.items() for part in pair)])


if __name__ == "__main__":
    sys.exit(main())
