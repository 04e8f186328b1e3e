"""The file of a Unix socket: checked before, put in its place with its permissions, and removed at the end.

gRPC replaces whatever file has the path, a socket that another server listens on included, and makes its own with the
permissions of the umask. So it binds a name of its own in the same folder, which is renamed once calls are accepted: no
caller finds a socket that nobody listens on, or one with other permissions than asked for.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from server.settings import UnixAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT_SECONDS = 1.0


class UnixSocket:
    """One socket of a server. ``permissions`` are those of its file, such as 0o600."""

    def __init__(self, address: UnixAddress, permissions: int) -> None:
        self._path = Path(address.path)
        self._permissions = permissions
        self._identity: tuple[int, int] | None = None
        # No longer than the name itself, so that the path fits into a socket's address wherever the name does.
        name = secrets.token_hex(16)[: len(os.fsencode(self._path.name))]
        self.bound_as = UnixAddress(str(self._path.with_name(name)))

    def publish(self) -> None:
        """Gives the bound socket its permissions and its name. Raises ``OSError``, also where the path is in use."""
        bound = Path(self.bound_as.path)
        bound.chmod(self._permissions)
        with _locked(self._path.parent):
            check_socket_free(self._path)
            bound.rename(self._path)
            self._identity = _identity(self._path)

    def remove(self) -> None:
        """Removes the file unless another server has taken its place."""
        with suppress(OSError):
            Path(self.bound_as.path).unlink(missing_ok=True)
            with _locked(self._path.parent):
                if self._identity is not None and _identity(self._path) == self._identity:
                    self._path.unlink()
        self._identity = None


def check_socket_free(path: Path) -> None:
    """Raises ``OSError`` where a socket cannot be made: no such folder, another kind of file, or a server listens.

    A socket on which nobody listens is left from a server that was killed, and may be replaced.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK | os.X_OK):
            path.parent.stat()  # raises where the folder does not exist
            raise PermissionError(None, "permission denied") from None
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(None, "the file is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except (BlockingIOError, TimeoutError):
            pass  # so many wait for the listener that no further one may
    raise OSError(None, "another server listens on it")


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other servers from renaming or removing sockets in the folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
