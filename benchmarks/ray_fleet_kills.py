"""Replicas of Ray Serve that are killed in the midst of a job, for ``benchmarks.ray_fleet``."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import stillcue
from benchmarks.fleet.load import PICTURE, WINDOW_SECONDS, Load, client_of, fake_frames
from tests.ray.fleet import RayFleet, ReplicaProcess

_PATIENCE_SECONDS = 120.0
# Killed after frame 2, a replica has sent the frames up to 4, which one graph call decodes.
_KILL_AFTER_FRAME, _FIRST_UNSENT_FRAME = 2, 5


@dataclass
class Kills:
    """The outcome of all kills.

    ``gap_seconds``: from the kill to the first frame that the killed replica had not sent; the next one begins anew.
    ``back_seconds``: from the kill until two replicas are open again.
    """

    wrong_count: int = 0
    disturbed_count: int = 0
    gap_seconds: list[float] = field(default_factory=list)
    back_seconds: list[float] = field(default_factory=list)


@dataclass
class _Clip:
    """One clip: kinds of its events, its frames and when they came, by ``time.perf_counter``."""

    kinds: list[str] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)
    came_at: list[float] = field(default_factory=list)
    is_resumed: bool = False


async def kills(fleet: RayFleet, *, count: int, size: tuple[int, int, int], prompt: str) -> Kills:
    """Kills the replica of a job after its frame 2, while the other replica has a job too."""
    result = Kills()
    async with client_of(fleet.address, Load(), _PATIENCE_SECONDS) as client:
        for seed in range(count):
            before = await asyncio.to_thread(_both, fleet)
            killed, other = await asyncio.gather(
                _clip(client, prompt, seed, before), _clip(client, prompt, seed + count, [])
            )
            killed_at = killed.came_at[_KILL_AFTER_FRAME]
            is_right = killed.frames == fake_frames(seed, size, prompt) and killed.kinds == other.kinds
            result.wrong_count += not (is_right and killed.is_resumed)
            result.disturbed_count += other.is_resumed
            result.gap_seconds.append(killed.came_at[_FIRST_UNSENT_FRAME] - killed_at)
            await asyncio.to_thread(_both, fleet)
            result.back_seconds.append(time.perf_counter() - killed_at)
    return result


async def _clip(client: stillcue.AsyncClient, prompt: str, seed: int, victims: list[ReplicaProcess]) -> _Clip:
    """Makes a clip; the one of ``victims`` that has the job is killed."""
    clip = _Clip()
    raw = stillcue.FrameEncoding.RAW_RGB
    options: stillcue.GenerateOptions = {
        "seed": seed,
        "frame_encoding": raw,
        "resume_window_seconds": WINDOW_SECONDS,
    }
    async with client.generate(PICTURE, prompt, **options) as stream:
        async for event in stream:
            if not isinstance(event, stillcue.QueueUpdate):
                clip.kinds.append(type(event).__name__)
            if not isinstance(event, stillcue.Frame):
                continue
            clip.frames.append(("frame", event.index, event.data))
            clip.came_at.append(time.perf_counter())
            if event.index == _KILL_AFTER_FRAME:
                key = stream._resumption.metadata[0][1]  # noqa: SLF001  no caller needs it otherwise
                for victim in victims:
                    if victim.key == key:
                        victim.kill()
        clip.is_resumed = stream._resumption._is_resumed  # noqa: SLF001
    return clip


def _both(fleet: RayFleet) -> list[ReplicaProcess]:
    """Waits until both replicas have opened their engines."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while len(found := fleet.replicas()) != 2:
        if time.monotonic() > until:
            raise SystemExit(f"{len(found)} replicas after {_PATIENCE_SECONDS:g} s")
        time.sleep(0.05)
    return found
