"""Creates the certificates of one test run, as PEM and as files, with trustme."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, as PEM."""

    chain: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> dict[str, Any]:
        """Writes both files atomically and returns their paths by the names of the server's settings."""
        paths = {"tls_certificate_chain": folder / f"{name}.pem", "tls_private_key": folder / f"{name}.key"}
        for path, data in zip(paths.values(), (self.chain, self.key), strict=True):
            partial = path.with_suffix(".partial")
            partial.write_bytes(data)
            partial.replace(path)
        return paths

    @property
    def of_client(self) -> dict[str, bytes]:
        """Returns the arguments of a client that uses this certificate."""
        return {"certificate_chain": self.chain, "private_key": self.key}


class Signer:
    """A certificate authority."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.pem = self._authority.cert_pem.bytes()

    def sign(self, *names: str, **options: Any) -> Identity:
        """Returns a certificate for host names, addresses or URIs."""
        made = self._authority.issue_cert(*names, **options)
        return Identity(b"".join(blob.bytes() for blob in made.cert_chain_pems), made.private_key_pem.bytes())

    def sign_expired(self, *names: str) -> Identity:
        """Returns a certificate that expired yesterday."""
        now = datetime.now(UTC)
        return self.sign(*names, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))
