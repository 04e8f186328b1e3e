"""Writes the video file that the server encodes, chunk by chunk as it arrives. Needs no PyAV."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from stillcue.cli.files import replacing
from stillcue.errors import ErrorDetails, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stillcue.events import VideoChunk


@contextmanager
def open_received(path: Path) -> Iterator[Callable[[VideoChunk], None]]:
    """Gives the function that writes the next chunk; the file appears under ``path`` if the block ends without error.

    Raises ``Unsupported`` if no chunk came.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:

        def write(chunk: VideoChunk) -> None:
            file.write(chunk.data)
            file.flush()  # a player may follow the file

        yield write
        if not file.tell():
            message = "the server sent no video file: it is older than this client; leave out --encoder server"
            raise Unsupported(message, ErrorDetails(status="UNIMPLEMENTED"))
