"""A run of an example: its lines as they come, and its end."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.interrupts import take_interrupts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_SECONDS = 60.0


@dataclass
class Run:
    """A running program. ``lines`` are those of standard error that were read so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def until(self, start: str) -> str:
        """Reads lines until one begins with ``start``, and returns it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line.rstrip("\n"))
                if line.startswith(start):
                    return line.rstrip("\n")
        raise AssertionError(f"no line begins with {start!r}: {self.lines}")

    async def end(self) -> tuple[int, str]:
        """Waits for the end; returns exit code and standard output."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await self.process.communicate()
        self.lines += err.decode().splitlines()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode()


@asynccontextmanager
async def started(program: list[str], *arguments: str, folder: Path, **environment: str) -> AsyncIterator[Run]:
    """Starts a program in a folder; ends it if it still runs."""
    take_interrupts()
    process = await asyncio.create_subprocess_exec(
        *program,
        *arguments,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def finished(program: list[str], *arguments: str, folder: Path, **environment: str) -> tuple[int, str, list[str]]:
    """Runs a program to its end; returns exit code, standard output and the lines of standard error."""
    async with started(program, *arguments, folder=folder, **environment) as run:
        code, out = await run.end()
        return code, out, run.lines
