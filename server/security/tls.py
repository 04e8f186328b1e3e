"""The TLS certificates of the gRPC port, read again when their files change.

gRPC asks for the certificates at every handshake, so a renewed certificate serves the next connection; open connections
keep the old one. TLS 1.2 and 1.3, with the ciphers that gRPC chooses.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import grpc

from server.security.reloading import FileInvalid, Reloading, read_bytes
from server.settings import SettingInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings import Settings


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificate chain of the server, its key, and the authority of client certificates."""

    certificate_chain: Path
    private_key: Path
    client_ca: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that is set."""
        files = (self.certificate_chain, self.private_key, self.client_ca)
        return tuple(path for path in files if path is not None)

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Reads and checks the files. Raises ``FileInvalid``, also where a file changes meanwhile."""
        chain, key = read_bytes(self.certificate_chain), read_bytes(self.private_key)
        client_ca = None if self.client_ca is None else read_bytes(self.client_ca)
        self._check(client_ca)
        if (chain, key) != (read_bytes(self.certificate_chain), read_bytes(self.private_key)):
            raise FileInvalid(f"{self.certificate_chain} or {self.private_key} changed while being read; try again")
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=client_ca)

    def _check(self, client_ca: bytes | None) -> None:
        """Checks the files with OpenSSL, which names the fault; gRPC would only fail to bind the address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate_chain, self.private_key, _refuse_password)
        except (OSError, _KeyEncrypted) as error:
            raise FileInvalid(
                f"{self.certificate_chain} and {self.private_key} are not a certificate and its key: {_fault(error)}; "
                "give PEM files, the server's certificate first in its chain, the key unencrypted"
            ) from None
        if client_ca is None:
            return
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii", errors="replace"))
        except OSError as error:
            raise FileInvalid(f"{self.client_ca} holds no certificates: {_fault(error)}; give a PEM file") from None


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Credentials that are reloaded when the files change; None for plain text. Raises ``SettingInvalid``."""
    if settings.tls_certificate_chain is None or settings.tls_private_key is None:
        return None
    files = TlsFiles(settings.tls_certificate_chain, settings.tls_private_key, settings.tls_client_ca)
    try:
        certificates = Reloading(files.paths, files.read)
    except FileInvalid as error:
        raise SettingInvalid(f"--tls-certificate-chain: {error}") from None
    in_use = certificates.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal in_use
        now = certificates.current()
        if now is in_use:
            return None  # gRPC keeps what it has
        in_use = now
        return now

    return grpc.dynamic_ssl_server_credentials(
        in_use,
        changed,  # type: ignore[arg-type]  # None is allowed: "or None if no change is needed"
        require_client_authentication=files.client_ca is not None,
    )


class _KeyEncrypted(Exception):
    """OpenSSL asked for a password. Without a callback, OpenSSL would ask on the terminal."""


def _refuse_password() -> NoReturn:
    raise _KeyEncrypted("the key is encrypted")


def _fault(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error).lower()
