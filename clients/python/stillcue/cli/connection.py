"""Connection options of the command line: flags and environment variables become a ``Client``.

A token is read from a file or the environment, never from a flag. Wrong values exit with 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stillcue.busy import BusyPolicy
from stillcue.channel import checked_target, is_loopback, is_token

if TYPE_CHECKING:
    from stillcue.client import Client
    from stillcue.errors import StillcueError

DEFAULT_SERVER = "localhost:50051"
SERVER_VARIABLE = "STILLCUE_SERVER"
TOKEN_VARIABLE = "STILLCUE_TOKEN"
TOKEN_FILE_VARIABLE = "STILLCUE_TOKEN_FILE"
TLS_CA_VARIABLE = "STILLCUE_TLS_CA"
TLS_CERT_VARIABLE = "STILLCUE_TLS_CERT"
TLS_KEY_VARIABLE = "STILLCUE_TLS_KEY"


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Adds the connection options, which every command has."""
    group = parser.add_argument_group(
        "connection", f"Files can also be named by environment variables; {TOKEN_VARIABLE} holds a token itself."
    )
    group.add_argument(
        "--server",
        type=_server,
        default=_variable(SERVER_VARIABLE) or DEFAULT_SERVER,
        metavar="HOST:PORT",
        help=f"or unix:PATH; default: {SERVER_VARIABLE}, else {DEFAULT_SERVER}",
    )
    tls = group.add_mutually_exclusive_group()
    tls.add_argument("--tls", action="store_true", default=None, help="encrypt; default except to this machine")
    tls.add_argument("--plaintext", action="store_false", dest="tls", help="do not encrypt")
    files = (
        ("--tls-ca", TLS_CA_VARIABLE, "root certificates in place of the system's"),
        ("--tls-cert", TLS_CERT_VARIABLE, "this client's certificate with its chain"),
        ("--tls-key", TLS_KEY_VARIABLE, "the certificate's key"),
    )
    for flag, variable, meaning in files:
        # argparse applies ``type`` to a default that is text, so a wrong variable is reported like a wrong flag.
        group.add_argument(
            flag,
            type=_bytes,
            default=_variable(variable),
            metavar="FILE.pem",
            help=f"{meaning} [{variable}]",
        )
    group.add_argument(
        "--token-file",
        type=_token,
        dest="token",
        default=_variable(TOKEN_FILE_VARIABLE),
        metavar="FILE",
        help=f"a token for the server [{TOKEN_FILE_VARIABLE}]",
    )
    group.add_argument("--timeout", type=float, metavar="SECONDS", help="deadline of the call")
    group.add_argument(
        "--wait",
        type=_wait,
        default=0.0,
        metavar="SECONDS",
        help="how long to try again while the server is busy, starting or draining; default: not at all",
    )


def check_connection(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Checks the options against each other; takes the token from the environment if no file gives one."""
    options.token = options.token or _token_of_environment(parser)
    given = {"--tls-ca": options.tls_ca, "--tls-cert": options.tls_cert, "--tls-key": options.tls_key}
    named = [flag for flag, value in given.items() if value is not None]
    if options.tls is False and named:
        parser.error(f"{' and '.join(named)} and --plaintext exclude each other")
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    if options.tls is False and options.token is not None and not is_loopback(options.server):
        parser.error(f"--plaintext would show the token to the network on its way to {options.server}")


def connect(options: argparse.Namespace) -> Client:
    """Returns a client for the options."""
    from stillcue.client import Client

    return Client(
        options.server,
        tls=options.tls,
        root_certificates=options.tls_ca,
        certificate_chain=options.tls_cert,
        private_key=options.tls_key,
        token=options.token,
        wait_when_busy_seconds=options.wait,
        on_refusal=_tell_refusal,
    )


def _tell_refusal(error: StillcueError, delay_seconds: float) -> None:
    sys.stderr.write(f"stillcue: {error}; trying again in {delay_seconds:.1f} s\n")


def _wait(text: str) -> float:
    try:
        return BusyPolicy(float(text)).wait_seconds
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of 0 seconds or more") from None


def _server(text: str) -> str:
    try:
        return checked_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _bytes(text: str) -> bytes:
    try:
        return Path(text).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _token(text: str) -> str:
    token = _bytes(text).decode(errors="replace").strip()
    if not is_token(token):
        raise argparse.ArgumentTypeError(f"{text!r} does not hold one token and nothing else")
    return token


def _token_of_environment(parser: argparse.ArgumentParser) -> str | None:
    token = (_variable(TOKEN_VARIABLE) or "").strip()
    if token and not is_token(token):
        parser.error(f"{TOKEN_VARIABLE} does not hold one token and nothing else")
    return token or None


def _variable(name: str) -> str | None:
    """Returns an environment variable; None if it is unset, empty or white space."""
    text = os.environ.get(name, "")
    return text if text.strip() else None
