"""``python -m server.security.new_token NAME --callers FILE --token-file FILE``: makes a token.

The token is written to a file that only its owner may read, and printed nowhere; the file of callers gets its hash. A
running server accepts the token from the next call on.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.security.caller import CallerLimits
from server.security.callers import check_name, hash_of, read_callers
from server.security.reloading import FileInvalid

_PREFIX = "stillcue_"  # so that scanners for secrets find one that got into a repository
_RANDOM_BYTES = 32
_HEADING = "# name, proof, limits: see docs/security.md\n"


def main(arguments: list[str] | None = None) -> int:
    """Makes one token. Returns the exit code: 0, or 1 where a file exists already or is wrong."""
    options = _parser().parse_args(arguments)
    try:
        line = make_token(options.name, options.callers, options.token_file, _limits_as_written(options))
    except FileExistsError:
        return _fail(f"{options.token_file} exists already; give another --token-file, or remove it first")
    except (FileInvalid, OSError) as error:
        return _fail(str(error))
    sys.stdout.write(f"{options.token_file}: token of {options.name}\n{options.callers}: {line}\n")
    return 0


def make_token(name: str, callers: Path, token_file: Path, limits: list[str]) -> str:
    """Writes a new token to ``token_file`` and adds its line to ``callers``; returns the line.

    ``limits`` are words such as ``max_jobs=2``. Raises ``FileExistsError`` where there is a token file, and
    ``FileInvalid`` where ``callers`` is wrong or would be with the new line; then neither file changes.
    """
    token = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    line = " ".join([name, hash_of(token), *limits])
    partial = callers.with_name(f".{callers.name}.partial")
    try:
        text = callers.read_text(encoding="utf-8") if callers.exists() else _HEADING
        partial.write_text(f"{text.rstrip()}\n{line}\n", encoding="utf-8")
        _check(partial, callers)
        if callers.exists():
            shutil.copymode(callers, partial)
        _write_secret(token_file, token)
        partial.replace(callers)
    finally:
        partial.unlink(missing_ok=True)
    return line


def _check(partial: Path, callers: Path) -> None:
    try:
        read_callers(partial, CallerLimits())
    except FileInvalid as error:
        raise FileInvalid(str(error).replace(str(partial), str(callers))) from None


def _write_secret(path: Path, token: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"{token}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server.security.new_token", description="Makes a token and adds its line to a file of callers."
    )
    parser.add_argument("name", type=_name, metavar="NAME", help="name of the caller; a caller can have several tokens")
    parser.add_argument("--callers", type=Path, required=True, metavar="FILE", help="created if missing")
    parser.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="must not exist yet")
    parser.add_argument("--expires-days", type=_days, metavar="N", help="default: never expires")
    for item in fields(CallerLimits):
        parser.add_argument(
            f"--{item.name.replace('_', '-')}", type=_limit, metavar="N", help="default: the server's own"
        )
    return parser


def _limits_as_written(options: argparse.Namespace) -> list[str]:
    given = {item.name: getattr(options, item.name) for item in fields(CallerLimits)}
    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    if options.expires_days is not None:
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=options.expires_days)
        words.append(f"expires={expires:%Y-%m-%dT%H:%M:%SZ}")
    return words


def _name(text: str) -> str:
    try:
        check_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError(f"{days} is outside 1 to 36500")
    return days


def _limit(text: str) -> int:
    limit = int(text)
    if not 0 <= limit <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{limit} is outside 0 to 1000000")
    return limit


def _fail(message: str) -> int:
    sys.stderr.write(f"stillcue: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
