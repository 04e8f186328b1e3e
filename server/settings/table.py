"""The settings of a server: one table gives flags, environment variables, defaults, help and docs/settings.md.

A flag overrides the environment variable, the environment variable overrides the default. A variable that is empty or
white space counts as unset.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from engine.api.reuse import StepReuse
from engine.api.video import VIDEO_ENCODERS
from server.settings.values import (
    Address,
    SettingInvalid,
    UnixAddress,
    address,
    bytes_or_default,
    device_name,
    frame_count,
    listen_address,
    listen_address_or_none,
    names_or_none,
    one_of,
    path,
    permissions,
    replica_name,
    seconds,
    url_or_empty,
    whole_number,
    yes_or_no,
)
from stillcue.addresses import shown

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
        "`bundle` serves the model; `fake` needs no bundle and sends frames of plain colours, for trying clients.",
    )
    listen: Address | UnixAddress = _setting(  # noqa: RUF009
        listen_address,
        "127.0.0.1:50051",
        "Address of the gRPC service: HOST:PORT or unix:PATH. Port 0: any free port.",
    )
    socket_permissions: int = _setting(
        permissions,
        "600",
        "Octal permissions of Unix sockets. Who may write to the file may call: 660 lets its group, 666 every user of "
        "this machine.",
    )
    allow_insecure: bool = _setting(yes_or_no, "false", "Allow plain text on an address that other machines can reach.")
    health_listen: Address | UnixAddress | None = _setting(  # noqa: RUF009
        listen_address_or_none,
        "",
        "Address of a second port or Unix socket with only the health service, in plain text, for probes without TLS. "
        "Empty: none.",
    )
    tls_certificate_chain: Path | None = _setting(  # noqa: RUF009
        path, "", "PEM file: the server's certificate, followed by its issuers'. Reloaded when the file changes."
    )
    tls_private_key: Path | None = _setting(  # noqa: RUF009
        path, "", "PEM file: the private key of the certificate, unencrypted. Reloaded when the file changes."
    )
    tls_client_ca: Path | None = _setting(  # noqa: RUF009
        path,
        "",
        "PEM file: authorities of client certificates. If set, every client needs a certificate (mutual TLS).",
    )
    callers: Path | None = _setting(  # noqa: RUF009
        path,
        "",
        "File with the callers and the hashes of their tokens (docs/security.md). If set, only those callers are "
        "accepted. Reloaded when the file changes.",
    )
    caller_max_streams: int = _setting(
        whole_number(0, 1_000_000), "0", "Calls that one caller may have open at the same time. 0: no limit."
    )
    caller_max_jobs: int = _setting(
        whole_number(0, 1_000_000), "0", "Jobs of one caller that may wait or run at the same time. 0: no limit."
    )
    caller_max_requests_per_minute: int = _setting(
        whole_number(0, 1_000_000), "0", "Calls that one caller may start in a minute. 0: no limit."
    )
    metrics_listen: Address = _setting(  # noqa: RUF009
        address, "127.0.0.1:9464", "Address of the Prometheus endpoint (HTTP, path /metrics). Port 0: any free port."
    )
    queue_capacity: int = _setting(
        whole_number(0, 10_000), "8", "Jobs that may wait behind the running one. Further jobs are refused."
    )
    replica: str = _setting(
        replica_name,
        "",
        "Name of this server in a fleet: letters, digits and `._-/`. A proxy routes calls that resume a stream by the "
        "key that is derived from it (docs/fleet.md). Callers see the key; a name that is hard to guess keeps the key "
        "from telling anything. Empty: resume tokens name no server.",
    )
    max_stall_seconds: float = _setting(
        seconds(0.01, 3_600),
        "30",
        "Longest time that a ready message may wait for its reader before the server ends the stream. A request can "
        "ask for less.",
    )
    max_buffered_bytes: int = _setting(
        whole_number(16 * 2**20, 2**40),
        str(256 * 2**20),
        "Largest number of frame bytes that the server holds for one job: frames being encoded, frames that its "
        "readers have not read, and frames kept for resuming.",
    )
    max_resume_seconds: float = _setting(
        seconds(0, 3_600),
        "60",
        "Longest time that a job without a reader goes on after its stream broke, and that its events are kept after "
        "its end, so that the caller can resume. A request asks for it by `stream.resume_window`. 0: no resuming.",
    )
    max_resume_bytes: int = _setting(
        whole_number(0, 2**40),
        str(512 * 2**20),
        "Largest number of bytes that all ended jobs together keep for resuming. The oldest job is dropped first.",
    )
    drain_grace_seconds: float = _setting(
        seconds(0, 86_400), "300", "Longest time that the running job may take after SIGTERM before the server ends it."
    )
    device: str = _setting(
        device_name,
        "auto",
        "What the engine computes on. `auto`: the first GPU if the bundle has TensorRT engines for it, else the CPU. "
        "`cpu`. `cuda`: the first GPU; `cuda:1` or `cuda:GPU-UUID`, of which the beginning is enough: that one. A GPU "
        "that is named and cannot be used ends the start. Indices count the GPUs that CUDA_VISIBLE_DEVICES leaves.",
    )
    engine_process: str = _setting(
        one_of("own", "server"),
        "own",
        "`own`: the engine runs in a worker process, so that a crash costs one job and not the server. `server`: it "
        "runs in the server's process, for debugging.",
    )
    max_step_seconds: float = _setting(
        seconds(0.1, 86_400),
        "600",
        "Longest time that one graph call may take, loading included. After that, the server kills and restarts the "
        "worker process.",
    )
    engine_restart_seconds: float = _setting(
        seconds(0, 60),
        "1",
        "Pause before a lost worker process is restarted. It doubles, up to 60 s, while the process keeps ending.",
    )
    engine_thread_count: int = _setting(
        whole_number(0, 1_024),
        "0",
        "Threads that one graph call may use. 0: one for each core, or fewer where the CPU affinity or the quota of "
        "the container allow fewer; the log names the number.",
    )
    memory_budget_bytes: int | None = _setting(
        bytes_or_default,
        "",
        "Memory that graphs and buffers may take together. The memory plan keeps within it; a bundle of which no size "
        "fits is refused. Empty: on a GPU its memory less 1.14 GiB (22.5 GiB of 24); on a CPU no limit.",
    )
    verify_digests: str = _setting(
        one_of("once", "always"),
        "once",
        "`once`: a large file of the bundle is compared with its digest at the first start, and again when it changed; "
        "the cache folder remembers it. `always`: every file at every start and every restart of the worker process.",
    )
    step_reuse: str = _setting(
        one_of(*(reuse.value for reuse in StepReuse)),
        StepReuse.OFF.value,
        "How much of earlier denoising steps a job may reuse, where its request does not say (`sampling.step_reuse`): "
        "`off`, `balanced` or `fast`. Saves time and changes the clip (docs/reuse.md).",
    )
    text_cache_entry_count: int = _setting(
        whole_number(0, 100_000), "64", "Encoded prompts that the engine caches for later jobs."
    )
    picture_cache_bytes: int = _setting(
        whole_number(0, 2**40),
        str(256 * 2**20),
        "Host memory for encoded pictures, so that another sentence about the same picture does not wait for its "
        "encoding. A picture takes 10 MiB at 832x480 and 81 frames (A14B). 0: off.",
    )
    given_frame_count: int = _setting(
        frame_count(1, 1_001),
        "1",
        "Frames, 4n + 1, that each segment of a chain takes from the one before it. 1: its last frame is the picture "
        "of the next segment. 5 and more: their latents are also put back after each step, so that the segment goes on "
        "with their motion; not for the family of TI2V-5B (docs/long-clips.md).",
    )
    video_encoders: tuple[str, ...] = _setting(
        names_or_none(*VIDEO_ENCODERS),
        ",".join(VIDEO_ENCODERS),
        "Encoders of video files (`stream.video_container`), separated by commas, in order: for each codec the first "
        "that works on this machine is used, and the codec of the first is the default. `none`: no video files. Needs "
        "the extra `video`.",
    )
    keepalive_seconds: float = _setting(
        seconds(1, 7_200), "10", "Time without traffic after which the server sends a keepalive ping."
    )
    caller_ping_seconds: float = _setting(
        seconds(0, 7_200),
        "5",
        "Shortest time between keepalive pings of a caller while nothing is sent to it. The third earlier ping closes "
        "the connection (`too_many_pings`). Independent of `--keepalive-seconds`. 0: no limit.",
    )
    ping_timeout_seconds: float = _setting(
        seconds(0.1, 600), "5", "Time to wait for the answer to a keepalive ping before the connection is closed."
    )
    otlp_endpoint: str = _setting(
        url_or_empty,
        "",
        "Collector that receives traces (OTLP over gRPC, for example http://127.0.0.1:4317). Needs the extra `otel`. "
        "Empty: no traces.",
    )
    log_level: str = _setting(
        one_of("debug", "info", "warning", "error"), "info", "Lowest severity that is written to the log (stderr)."
    )
    log_format: str = _setting(
        one_of("json", "text"), "json", "`json`: one JSON object per line. `text`: lines to read in a terminal."
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
                if text is not None and not text.strip():
                    text = None
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
        description="Serves Wan2.2 image-to-video over gRPC: a picture and a prompt in, a stream of frames out.",
        epilog="Every flag can be set as an environment variable instead; a flag overrides the variable.",
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
        raise SettingInvalid(f"{source} {shown(text)} {error}") from None
