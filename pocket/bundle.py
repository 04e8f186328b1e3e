"""`python -m pocket.bundle`: the trained checkpoint becomes the bundle around it, ready to serve.

Knows the options that pocket is exported with. The work is the exporter's.
"""

import argparse
import sys
from pathlib import Path

from export.__main__ import main as export
from pocket.settings import BUNDLE_FOLDER, CHECKPOINT_NAME
from pocket.world import FRAME_COUNT, FRAMES_PER_SECOND, PICTURE_PX

_STEP_COUNT = 20
_GUIDANCE_SCALE = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Export the checkpoint that lies in the bundle's folder; return the exporter's exit status."""
    parser = argparse.ArgumentParser(prog="python -m pocket.bundle", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER, help="folder with checkpoint/ inside")
    bundle = parser.parse_args(arguments).bundle
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
