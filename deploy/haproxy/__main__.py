"""``python -m deploy.haproxy --server NAME=HOST:PORT ...`` writes HAProxy's configuration for a fleet into a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.haproxy.configuration import BROKEN_FILE, MAP_FILE, REFUSED_FILE, configuration_of, map_of
from deploy.haproxy.fleet import Fleet, FleetInvalid, TlsToServers, read_address, read_replicas
from deploy.haproxy.refusals import broken_connection, refusal

_EXIT_MISCONFIGURED = 2
_JOBS_A_SERVER = 4


def main(arguments: list[str] | None = None) -> int:
    """Writes the files; returns the exit code: 2 for a flag that is wrong."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    try:
        write_files(_fleet_of(options), out)
    except FleetInvalid as error:
        sys.stderr.write(f"deploy.haproxy: {error}\n")
        return _EXIT_MISCONFIGURED
    except OSError as error:
        sys.stderr.write(f"deploy.haproxy: cannot write to --out {out}: {error.strerror}\n")
        return _EXIT_MISCONFIGURED
    sys.stdout.write(f"{out / 'haproxy.cfg'}\n")
    return 0


def write_files(fleet: Fleet, folder: Path) -> None:
    """Writes all files of a fleet, each atomically, ``haproxy.cfg`` last. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        MAP_FILE: map_of(fleet).encode(),
        REFUSED_FILE: refusal(fleet.retry_seconds),
        BROKEN_FILE: broken_connection(),
        "haproxy.cfg": configuration_of(fleet).encode(),
    }
    for name, content in contents.items():
        partial = folder / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(folder / name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.haproxy", description="Writes HAProxy's configuration for several servers."
    )
    add = parser.add_argument
    add("--server", action="append", default=[], metavar="NAME=HOST:PORT", help="a server; repeat for each")
    add("--salt-file", type=Path, help="file with a secret SALT; the servers' --replica is then SALT/NAME, else NAME")
    add("--listen", default="127.0.0.1:50050", metavar="HOST:PORT", help="address for callers (%(default)s)")
    add("--metrics-listen", default="127.0.0.1:8404", metavar="HOST:PORT", help="metrics and state (%(default)s)")
    add("--queue-jobs", type=int, help=f"jobs that may wait (default: {_JOBS_A_SERVER} a server)")
    add("--queue-seconds", type=int, default=300, help="longest wait of a job (%(default)s)")
    add("--retry-seconds", type=int, default=5, help="when a refused caller should come again (%(default)s)")
    add("--tls-certificate", type=Path, metavar="PEM", help="chain and private key in one file (default: plain text)")
    add("--tls-client-ca", type=Path, metavar="PEM", help="authority of client certificates, which are then required")
    add("--servers-tls-ca", type=Path, metavar="PEM", help="authority of the servers' certificates (default: no TLS)")
    add("--servers-tls-certificate", type=Path, metavar="PEM", help="chain and key that HAProxy shows to the servers")
    add("--servers-tls-name", metavar="NAME", help="name in the servers' certificates (default: host of the address)")
    add("--files-elsewhere", action="store_true", help="files of TLS lie where HAProxy runs, not here")
    add("--follow-names", action="store_true", help="look names up all the time (default: at the start)")
    add("--user", help="user and group that HAProxy changes to; needs root at the start (default: neither)")
    add("--out", type=Path, default=Path("haproxy"), metavar="FOLDER", help="folder of the files (%(default)s)")
    return parser


def _fleet_of(options: argparse.Namespace) -> Fleet:
    for flag, lowest in (("queue_jobs", 1), ("queue_seconds", 1), ("retry_seconds", 1)):
        value = getattr(options, flag)
        if value is not None and value < lowest:
            raise FleetInvalid(f"--{flag.replace('_', '-')} is {value}; give {lowest} or more")
    replicas = read_replicas(options.server, _salt(options.salt_file))
    return Fleet(
        replicas=replicas,
        listen=read_address("--listen", options.listen),
        metrics_listen=read_address("--metrics-listen", options.metrics_listen),
        queue_job_count=_JOBS_A_SERVER * len(replicas) if options.queue_jobs is None else options.queue_jobs,
        queue_seconds=options.queue_seconds,
        retry_seconds=options.retry_seconds,
        certificate=_file(options, "tls_certificate"),
        client_authority=_file(options, "tls_client_ca"),
        to_servers=_to_servers(options),
        user=options.user,
        follows_names=options.follow_names,
    )


def _to_servers(options: argparse.Namespace) -> TlsToServers | None:
    authority = _file(options, "servers_tls_ca")
    certificate = _file(options, "servers_tls_certificate")
    if authority is None:
        if certificate is not None or options.servers_tls_name is not None:
            raise FleetInvalid("--servers-tls-certificate and --servers-tls-name need --servers-tls-ca")
        return None
    return TlsToServers(authority, certificate, options.servers_tls_name)


def _file(options: argparse.Namespace, name: str) -> Path | None:
    path: Path | None = getattr(options, name)
    flag = f"--{name.replace('_', '-')}"
    if path is None:
        return None
    if options.files_elsewhere:
        if not path.is_absolute():
            raise FleetInvalid(f"{flag}: {path} is not a whole path, which --files-elsewhere needs")
        return path
    if not path.is_file():
        raise FleetInvalid(f"{flag}: {path} is no file; if it lies where HAProxy runs, add --files-elsewhere")
    return path.resolve()


def _salt(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        salt = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FleetInvalid(f"--salt-file: {file} cannot be read: {error}") from None
    if not salt:
        raise FleetInvalid(f"--salt-file: {file} is empty; write for example the output of `openssl rand -hex 16`")
    return salt


if __name__ == "__main__":
    sys.exit(main())
