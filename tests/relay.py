"""A TCP relay between a client and a server that simulates network failures. It runs in threads of its own.

``cut`` closes every connection; ``stop_forwarding`` keeps connections open but forwards nothing, as if the peer had
vanished; ``refuse`` closes new connections at once; ``move_to`` forwards new connections to another server.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_CHUNK_BYTES = 65_536


class Relay:
    """Forwards connections to ``port`` to another port of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._is_forwarding = threading.Event()
        self._is_forwarding.set()
        self._is_refusing = False
        self._is_closed = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def target(self) -> str:
        """The relay's address for a client."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Closes every connection; new connections are forwarded."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for item in sockets:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    def move_to(self, target_port: int) -> None:
        """Forwards new connections to another port from now on."""
        self._target_port = target_port

    def refuse(self, is_refusing: bool) -> None:
        """Closes new connections at once from now on, or no longer."""
        self._is_refusing = is_refusing

    def stop_forwarding(self) -> None:
        """Stops forwarding but keeps connections open until ``close``."""
        self._is_forwarding.clear()

    def close(self) -> None:
        """Closes the listening socket and every connection."""
        self._is_closed = True
        self._is_forwarding.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_refusing:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target_port))
            with self._lock:
                self._sockets += [client, server]
            self._start(self._forward, client, server)
            self._start(self._forward, server, client)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                self._is_forwarding.wait()
                if self._is_closed:
                    return
                sink.sendall(data)
        if self._is_forwarding.is_set():
            for item in (source, sink):
                with contextlib.suppress(OSError):
                    item.shutdown(socket.SHUT_RDWR)
