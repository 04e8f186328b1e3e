"""The engine called in process, as one side of ``benchmarks.serving``: ``python -m benchmarks.serving_side BUNDLE``.

Prints a line when it is ready. Each line of input is a seed; the answer is a line with the seconds from the job to its
last event, and the digest of its frames.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.media import Image

PICTURE = Path(__file__).resolve().parents[1] / "scripts" / "demo-picture.png"
PROMPT = "A red car slowly rolls to the right."
STEP_COUNT = 20


def main(bundle: str) -> None:
    """Opens the bundle and generates a clip for each line of input."""
    engine = open_engine(Path(bundle))
    picture = PICTURE.read_bytes()
    print("ready", flush=True)
    for line in sys.stdin:
        sampling = SamplingSpec(step_count=STEP_COUNT, seed=int(line))
        job = Job(Image(picture), PROMPT, sampling=sampling, match=MatchPolicy(MatchMode.OFF))
        digest = hashlib.sha256()
        started = time.perf_counter()
        frames = [
            event.pixels
            for event in engine.generate(engine.prepare(job), CancelFlag())
            if isinstance(event, FrameReady)
        ]
        seconds = time.perf_counter() - started
        for pixels in frames:
            digest.update(pixels.tobytes())
        print(seconds, digest.hexdigest(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
