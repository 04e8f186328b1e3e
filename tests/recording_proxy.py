"""A forward proxy of CONNECT in threads of its own, which keeps every byte that callers send to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_CHUNK_BYTES = 65_536


class RecordingProxy:
    """Connects every caller to ``target_port`` of this machine, whatever host the caller asks for.

    ``answer`` is the status line that a CONNECT gets; nothing is forwarded unless it is 200.
    """

    def __init__(self, target_port: int, answer: str = "200 OK") -> None:
        self._target_port = target_port
        self._answer = answer
        self._heard = bytearray()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def heard(self) -> bytes:
        """Every byte that callers have sent."""
        return bytes(self._heard)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for item in self._sockets:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._sockets.append(caller)
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := caller.recv(_CHUNK_BYTES)):
                    return
                head += data
                self._heard += data
            caller.sendall(f"HTTP/1.1 {self._answer}\r\n\r\n".encode())
            if not self._answer.startswith("200"):
                caller.close()
                return
            server = socket.create_connection(("127.0.0.1", self._target_port))
            self._sockets.append(server)
            threading.Thread(target=self._forward, args=(server, caller, False), daemon=True).start()
            self._forward(caller, server, True)

    def _forward(self, source: socket.socket, sink: socket.socket, is_from_caller: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if is_from_caller:
                    self._heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
