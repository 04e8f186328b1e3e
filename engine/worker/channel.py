"""Messages between server and worker: pickles through a pipe, pictures through slots of shared memory.

The sender copies a large array or byte string of a message into a slot instead of pickling it, and the receiver copies
it out. A slot belongs to the sender until its message is sent, and again once the receiver copied it out and returned
its number through a separate pipe. Receivers never wait for a sender, so neither side can block the other forever; when
one side ends, its pipes close.

Content that does not fit a slot is pickled, which is slower.
"""

from __future__ import annotations

import io
import pickle
import threading
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from engine.worker.arena import Arena, Slots

_SMALLEST_BYTES = 16 * 1024  # below, a slot costs more than it saves
_NO_SLOT = 255


class SlotWriter:
    """The sender's side of the slots of one direction. Not thread-safe."""

    def __init__(self, arena: Arena, slots: Slots, returned: Connection[Any, Any]) -> None:
        self._arena, self._slots, self._returned = arena, slots, returned
        self._free = list(range(slots.count))

    def take(self) -> int:
        """The most recently used free slot; waits for one. Raises ``EOFError`` if the receiver is gone."""
        while not self._free or self._returned.poll():
            self._free.append(self._returned.recv_bytes()[0])
        return self._free.pop()

    def put_back(self, slot: int) -> None:
        """Returns a slot whose message was not sent."""
        self._free.append(slot)

    def fits(self, byte_count: int, offset: int) -> bool:
        """True if a slot has room for this many bytes at this offset."""
        return offset + byte_count <= self._slots.slot_bytes

    def write(self, slot: int, offset: int, content: np.ndarray[Any, Any]) -> None:
        """Copies an array into a slot."""
        with self._arena.view(self._slots, slot) as view:
            target = np.frombuffer(view, content.dtype, content.size, offset).reshape(content.shape)
            np.copyto(target, content)
            del target


class SlotReader:
    """The receiver's side of the slots of one direction. Not thread-safe."""

    def __init__(self, arena: Arena, slots: Slots, returned: Connection[Any, Any]) -> None:
        self._arena, self._slots, self._returned = arena, slots, returned

    def read(self, slot: int, offset: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """A copy of an array in a slot."""
        with self._arena.view(self._slots, slot) as view:
            size = int(np.prod(shape, dtype=np.int64))
            source = np.frombuffer(view, np.dtype(dtype), size, offset).reshape(shape)
            array = source.copy()
            del source
        return array

    def give_back(self, slot: int) -> None:
        """Returns a slot to the sender. Never blocks: the pipe holds more numbers than there are slots."""
        self._returned.send_bytes(bytes([slot]))


class Channel:
    """One end of the connection. ``send`` is thread-safe; ``receive`` must be called by one thread.

    Both raise ``OSError`` or ``EOFError`` if the other end is gone.
    """

    def __init__(self, connection: Connection[Any, Any], outgoing: SlotWriter, incoming: SlotReader) -> None:
        self._connection, self._outgoing, self._incoming = connection, outgoing, incoming
        self._sending = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """Waits for a running ``send`` and refuses later ones. The other end must be gone, or still reading."""
        with self._sending:
            self._is_closed = True

    def send(self, message: object) -> None:
        """Sends a message."""
        with self._sending:
            if self._is_closed:
                raise EOFError
            buffer = io.BytesIO()
            buffer.write(bytes([_NO_SLOT]))
            packer = _Packer(buffer, self._outgoing)
            try:
                packer.dump(message)
            except BaseException:
                if packer.slot != _NO_SLOT:
                    self._outgoing.put_back(packer.slot)
                raise
            with buffer.getbuffer() as content:
                content[0] = packer.slot
                self._connection.send_bytes(content)

    def receive(self) -> Any:
        """Waits for the next message and returns it."""
        content = self._connection.recv_bytes()
        slot = content[0]
        unpacker = _Unpacker(io.BytesIO(content), slot, self._incoming)
        try:
            return unpacker.load()
        finally:
            if slot != _NO_SLOT:
                self._incoming.give_back(slot)


class _Packer(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, slots: SlotWriter) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self.slot = _NO_SLOT
        self._slots = slots
        self._offset = 0

    def persistent_id(self, obj: Any) -> tuple[str, int, str, tuple[int, ...]] | None:
        """Puts a large array or byte string into the slot and returns its position; None for content to pickle."""
        if type(obj) is bytes and len(obj) >= _SMALLEST_BYTES:
            return self._park("bytes", np.frombuffer(obj, np.uint8))
        if type(obj) is np.ndarray and obj.nbytes >= _SMALLEST_BYTES and not obj.dtype.hasobject:
            return self._park("array", obj)
        return None

    def _park(self, kind: str, array: np.ndarray[Any, Any]) -> tuple[str, int, str, tuple[int, ...]] | None:
        if not self._slots.fits(array.nbytes, self._offset):
            return None
        if self.slot == _NO_SLOT:
            self.slot = self._slots.take()
        offset = self._offset
        self._slots.write(self.slot, offset, array)
        self._offset += -(-array.nbytes // 16) * 16
        return kind, offset, array.dtype.str, array.shape


class _Unpacker(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, slot: int, slots: SlotReader) -> None:
        buffer.seek(1)
        super().__init__(buffer)
        self._slot = slot
        self._slots = slots

    def persistent_load(self, pid: tuple[str, int, str, tuple[int, ...]]) -> Any:
        """Copies an array or byte string out of the slot."""
        kind, offset, dtype, shape = pid
        array = self._slots.read(self._slot, offset, dtype, shape)
        return array.tobytes() if kind == "bytes" else array
