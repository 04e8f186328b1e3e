"""The settings of a server: one table gives flags, environment variables, defaults, help and docs/settings.md.

A flag overrides the environment variable, the environment variable overrides the default.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from server.settings.values import (
    Address,
    SettingInvalid,
    address,
    address_or_none,
    bytes_or_default,
    one_of,
    path,
    seconds,
    url_or_empty,
    whole_number,
    yes_or_no,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENVIRONMENT_PREFIX = "STILLCUE_"
_T = TypeVar("_T")


def _setting(parse: Callable[[str], _T], default: str, meaning: str) -> _T:
    return field(default=parse(default), metadata={"parse": parse, "default": default, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of a server, checked."""

    bundle: Path | None = _setting(  # noqa: RUF009  a field, not a value
        path, "", "Folder that `python -m export` wrote. Needed unless `engine` is fake."
    )
    engine: str = _setting(
        one_of("bundle", "fake"),
        "bundle",
        "`bundle` runs the model; `fake` needs no bundle and answers with plain colours, for trying clients.",
    )
    listen: Address = _setting(  # noqa: RUF009
        address, "127.0.0.1:50051", "Address of the gRPC service; port 0: any free port."
    )
    allow_insecure: bool = _setting(
        yes_or_no, "false", "Whether plain text may be served on an address that other machines reach."
    )
    health_listen: Address | None = _setting(  # noqa: RUF009
        address_or_none,
        "",
        "Address of a second port, in plain text, with nothing but health: for probes that speak no TLS. Empty: none.",
    )
    tls_certificate_chain: Path | None = _setting(  # noqa: RUF009
        path, "", "PEM file: the server's certificate and those that signed it. Read again when it changes."
    )
    tls_private_key: Path | None = _setting(  # noqa: RUF009
        path, "", "PEM file: the certificate's key, unencrypted. Read again when it changes."
    )
    tls_client_ca: Path | None = _setting(  # noqa: RUF009
        path, "", "PEM file: who signs the clients' certificates. Given, no client connects without one (mutual TLS)."
    )
    callers: Path | None = _setting(  # noqa: RUF009
        path,
        "",
        "File of callers and the hashes of their tokens (docs/security.md). Given, nobody else may call. Read again "
        "when it changes.",
    )
    caller_max_streams: int = _setting(
        whole_number(0, 1_000_000), "0", "Calls that one caller may have at the same time; 0: any number."
    )
    caller_max_jobs: int = _setting(
        whole_number(0, 1_000_000), "0", "Jobs of one caller that may wait or run at the same time; 0: any number."
    )
    caller_max_requests_per_minute: int = _setting(
        whole_number(0, 1_000_000), "0", "Calls that one caller may begin in a minute; 0: any number."
    )
    metrics_listen: Address = _setting(  # noqa: RUF009
        address, "127.0.0.1:9464", "Address of the Prometheus endpoint (HTTP, path /metrics); port 0: any free port."
    )
    queue_capacity: int = _setting(
        whole_number(0, 10_000), "8", "Jobs that may wait behind the running one; further ones are refused."
    )
    max_stall_seconds: float = _setting(
        seconds(0.01, 3_600),
        "30",
        "How long a reader may let one ready message wait before its stream is ended. A request can ask for less.",
    )
    max_buffered_bytes: int = _setting(
        whole_number(16 * 2**20, 2**40),
        str(256 * 2**20),
        "Bytes of frames that one stream may hold for its reader, those still being encoded included, and those "
        "that are kept for one who comes back.",
    )
    max_resume_seconds: float = _setting(
        seconds(0, 3_600),
        "60",
        "How long a job may go on after its stream broke, and its events be kept after its end, for a caller that "
        "comes back. A request asks for it by `stream.resume_window`; 0: never.",
    )
    max_resume_bytes: int = _setting(
        whole_number(0, 2**40),
        str(512 * 2**20),
        "Bytes that jobs may hold together after their end for callers that come back; the oldest is dropped first.",
    )
    drain_grace_seconds: float = _setting(
        seconds(0, 86_400), "300", "How long the running job may go on after SIGTERM before it is ended."
    )
    engine_process: str = _setting(
        one_of("own", "server"),
        "own",
        "`own`: the engine runs in a process of its own, whose end costs one job and not the server; `server`: in the "
        "server's process, for debugging.",
    )
    max_step_seconds: float = _setting(
        seconds(0.1, 86_400),
        "600",
        "How long one graph call, and the loading before it, may take before the engine's process is ended and started "
        "again.",
    )
    engine_restart_seconds: float = _setting(
        seconds(0, 60),
        "1",
        "Pause before the engine's process is started again after its end; doubles up to 60 s while it keeps ending.",
    )
    engine_thread_count: int = _setting(
        whole_number(0, 1_024), "0", "Threads that one graph call may use; 0: one for each core."
    )
    memory_budget_bytes: int | None = _setting(
        bytes_or_default,
        "",
        "Memory that graphs and buffers may take together. A bundle is loaded as that allows, and refused where none "
        "of its sizes fits. Empty: on a card what it has less 1.14 GiB, 22.5 GiB of 24; no limit on a CPU.",
    )
    text_cache_entry_count: int = _setting(
        whole_number(0, 100_000), "64", "Encoded prompts that the engine keeps for the next job."
    )
    keepalive_seconds: float = _setting(
        seconds(1, 7_200), "10", "Silence after which a connection is asked whether it is still there."
    )
    ping_timeout_seconds: float = _setting(
        seconds(0.1, 600), "5", "How long a connection may take to answer before it counts as gone."
    )
    otlp_endpoint: str = _setting(
        url_or_empty,
        "",
        "Collector that traces go to (OTLP over gRPC, such as http://127.0.0.1:4317); needs the extra `otel`. Empty: "
        "no traces.",
    )
    log_level: str = _setting(
        one_of("debug", "info", "warning", "error"), "info", "Least severe lines that reach the log (stderr)."
    )
    log_format: str = _setting(
        one_of("json", "text"), "json", "`json`: one object a line; `text`: the same for people."
    )

    @property
    def is_encrypted(self) -> bool:
        """Whether the gRPC port speaks TLS."""
        return self.tls_certificate_chain is not None and self.tls_private_key is not None

    @classmethod
    def load(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
        """Reads flags and environment. Raises ``SettingInvalid``; ``--help`` prints and exits."""
        given = vars(_parser().parse_args(arguments))
        values: dict[str, Any] = {}
        for item in fields(cls):
            source, text = flag_name(item.name), given[item.name]
            if text is None:
                source = environment_name(item.name)
                text = environment.get(source)
            if text is not None:
                values[item.name] = _read(item.metadata["parse"], source, text)
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.engine == "bundle" and self.bundle is None:
            raise SettingInvalid(
                "--bundle is not set; give the folder that python -m export wrote, or --engine fake to try clients"
            )
        self._check_tls()

    def _check_tls(self) -> None:
        if (self.tls_certificate_chain is None) != (self.tls_private_key is None):
            raise SettingInvalid(
                "--tls-certificate-chain and --tls-private-key go together; give both for TLS, neither for plain text"
            )
        if self.tls_client_ca is not None and not self.is_encrypted:
            raise SettingInvalid("--tls-client-ca needs TLS; give --tls-certificate-chain and --tls-private-key too")
        if not self.listen.is_loopback and not self.is_encrypted and not self.allow_insecure:
            raise SettingInvalid(
                f"--listen {self.listen} would serve plain text to other machines; give --tls-certificate-chain and "
                "--tls-private-key, or listen on 127.0.0.1 behind a proxy that adds TLS, or give --allow-insecure"
            )


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as the documentation shows it."""

    flag: str
    environment: str
    default: str
    meaning: str


def setting_rows() -> list[SettingRow]:
    """The table of settings, in order."""
    return [
        SettingRow(
            flag_name(item.name),
            environment_name(item.name),
            item.metadata["default"],
            item.metadata["meaning"],
        )
        for item in fields(Settings)
    ]


def flag_name(name: str) -> str:
    """``queue_capacity`` -> ``--queue-capacity``."""
    return "--" + name.replace("_", "-")


def environment_name(name: str) -> str:
    """``queue_capacity`` -> ``STILLCUE_QUEUE_CAPACITY``."""
    return ENVIRONMENT_PREFIX + name.upper()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingInvalid(f"{message}; python -m server --help lists every flag")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m server",
        description="Serves one picture and one sentence as streamed video over gRPC.",
        epilog="Every flag can be given in the environment instead; a flag beats the environment.",
        allow_abbrev=False,
    )
    for item in fields(Settings):
        default = item.metadata["default"]
        text = item.metadata["meaning"] + (f" Default: {default}." if default else "")
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if item.metadata["parse"] is yes_or_no else {}
        parser.add_argument(
            flag_name(item.name),
            dest=item.name,
            metavar="VALUE",
            help=f"{text} [{environment_name(item.name)}]".replace("%", "%%"),
            **switch,
        )
    return parser


def _read(parse: Callable[[str], Any], source: str, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise SettingInvalid(f"{source} {text!r} {error}") from None
