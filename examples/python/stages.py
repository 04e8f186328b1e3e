"""A clip of several stages, one sentence each, that ends where a sentence does not fit the clip so far.

    python examples/python/stages.py boat.png clip.mp4 "A boat leaves the harbour." "Gulls rise." "The fog lifts."

Each stage is a segment of a chain: it begins with the last frame of the one before. The server scores the sentence of
a segment with the frame that the segment begins from, and sends the score before it makes the segment. Below
``--lowest`` this program stops reading, which ends the job. The file then holds the finished segments: the server sends
the clip as a file in parts, and each part can be played with those before it.

Exit codes: 0 all segments; 1 the server refused or failed; 2 wrong command line; 3 ended early.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import stillcue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DOUBTFUL_SCORE = 40.0  # poor below


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes a clip and returns the exit code."""
    options = parse(arguments)
    segments = [stillcue.Segment(sentence) for sentence in options.sentences]
    try:
        with (
            stillcue.Client(options.server, token=os.environ.get("STILLCUE_TOKEN") or None) as client,
            client.generate(
                options.picture,
                segments=segments,
                seed=options.seed,
                video_container=stillcue.VideoContainer.FRAGMENTED_MP4,
                omit_frames=True,
            ) as stream,  # leaving its block before the last event ends the job
            options.clip.open("wb") as file,
        ):
            made_count = follow(stream, file, options.lowest)
    except stillcue.StillcueError as error:
        options.clip.unlink(missing_ok=True)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if not made_count:
        options.clip.unlink()
    print(f"{options.clip}: {made_count} of {len(segments)} segments")
    return 0 if made_count == len(segments) else 3


def follow(events: Iterable[stillcue.Event], file: BinaryIO, lowest_score: float) -> int:
    """Writes the parts of a clip until a match is below ``lowest_score``; returns the number of finished segments."""
    made_count = 0
    for event in events:
        match event:
            case stillcue.MatchReport():
                print(f"segment {event.segment}: match {event.score:.0f} of 100, {event.verdict}")
                if event.score < lowest_score:
                    break
            case stillcue.VideoChunk():
                file.write(event.data)
                file.flush()  # a player may follow the file
            case stillcue.SegmentResult():
                made_count = event.number
                jump = (
                    ""
                    if event.seam is None
                    else f", motion changes by {100 * event.seam.motion_jump:.1f} % at its seam"
                )
                print(f"segment {event.number}: {event.frame_count} frames in {event.work_seconds:.1f} s{jump}")
    return made_count


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options. Raises ``SystemExit`` for a wrong command line."""
    parser = argparse.ArgumentParser(description="A clip of several stages, one sentence each.")
    parser.add_argument("picture", type=Path, help="the first frame")
    parser.add_argument("clip", type=Path, help="the MP4 file to write")
    parser.add_argument("sentences", nargs="+", metavar="sentence", help="two or more, each complete in itself")
    parser.add_argument("--server", default="localhost:50051", metavar="HOST:PORT")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--lowest", type=float, default=DOUBTFUL_SCORE, metavar="SCORE", help="0 to 100; default: 40")
    options = parser.parse_args(arguments)
    if len(options.sentences) < 2:
        parser.error("give two sentences or more; stillcue generate makes a clip of one")
    return options


if __name__ == "__main__":
    sys.exit(main())
