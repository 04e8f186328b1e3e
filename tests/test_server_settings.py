"""Settings from flags and environment: precedence, checks, and messages."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from server.settings import Address, SettingInvalid, Settings, setting_rows

FAKE = ["--engine", "fake"]


def test_defaults() -> None:
    assert Settings.load(["--bundle", "bundles/pocket"], {}) == Settings(
        bundle=Path("bundles/pocket"),
        engine="bundle",
        listen=Address("127.0.0.1", 50051),
        allow_insecure=False,
        metrics_listen=Address("127.0.0.1", 9464),
        queue_capacity=8,
        max_stall_seconds=30.0,
        max_buffered_bytes=268_435_456,
        drain_grace_seconds=300.0,
        engine_thread_count=0,
        memory_budget_bytes=None,
        step_reuse="off",
        text_cache_entry_count=64,
        picture_cache_bytes=268_435_456,
        given_frame_count=1,
        keepalive_seconds=10.0,
        ping_timeout_seconds=5.0,
        log_level="info",
    )


def test_a_flag_beats_the_environment_and_the_environment_beats_the_default() -> None:
    environment = {"STILLCUE_ENGINE": "fake", "STILLCUE_QUEUE_CAPACITY": "3", "STILLCUE_LOG_LEVEL": "debug"}
    settings = Settings.load(["--queue-capacity", "5"], environment)
    assert (settings.engine, settings.queue_capacity, settings.log_level) == ("fake", 5, "debug")
    assert settings.max_stall_seconds == 30.0


def test_an_empty_memory_budget_is_the_default() -> None:
    environment = {"STILLCUE_MEMORY_BUDGET_BYTES": "2000000000"}
    assert Settings.load(FAKE, environment).memory_budget_bytes == 2_000_000_000
    assert Settings.load([*FAKE, "--memory-budget-bytes", ""], environment).memory_budget_bytes is None


@pytest.mark.parametrize("blank", ["", " ", "\t", "\r\n"])
def test_an_empty_variable_counts_as_unset(blank: str) -> None:
    environment = {row.environment: blank for row in setting_rows()}
    assert Settings.load(FAKE, environment) == Settings.load(FAKE, {})
    assert Settings.load([*FAKE, "--queue-capacity", "5"], environment).queue_capacity == 5


@pytest.mark.parametrize(
    "text", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "cuda:GPU-8a", "cuda:GPU-8A9B0c1d-1234", "cuda:MIG-0f"]
)
def test_devices(text: str) -> None:
    assert Settings.load(FAKE, {"STILLCUE_DEVICE": text}).device == text


@pytest.mark.parametrize(("text", "permissions"), [("600", 0o600), ("660", 0o660), ("0666", 0o666), ("777", 0o777)])
def test_permissions_of_sockets(text: str, permissions: int) -> None:
    assert Settings.load([*FAKE, "--socket-permissions", text], {}).socket_permissions == permissions


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("none", ()),
        ("libx264", ("libx264",)),
        ("h264_nvenc, libx264,libsvtav1", ("h264_nvenc", "libx264", "libsvtav1")),
        ("", ("libx264", "libsvtav1", "h264_nvenc", "av1_nvenc")),
    ],
)
def test_video_encoders(text: str, names: tuple[str, ...]) -> None:
    assert Settings.load(FAKE, {"STILLCUE_VIDEO_ENCODERS": text}).video_encoders == names


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings(engine="fake").queue_capacity = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:1", Address("127.0.0.1", 1), True),
        ("127.8.8.8:1", Address("127.8.8.8", 1), True),
        ("localhost:0", Address("localhost", 0), True),
        ("[::1]:65535", Address("::1", 65535), True),
        ("[::]:1", Address("::", 1), False),
        ("0.0.0.0:1", Address("0.0.0.0", 1), False),
        ("127.example.org:1", Address("127.example.org", 1), False),
    ],
)
def test_addresses(text: str, address: Address, is_loopback: bool) -> None:
    settings = Settings.load([*FAKE, "--listen", text, "--allow-insecure"], {})
    assert settings.listen == address
    assert str(settings.listen) == text
    assert settings.listen.is_loopback is is_loopback


def test_the_switch_for_plain_text() -> None:
    assert Settings.load([*FAKE, "--listen", "0.0.0.0:1"], {"STILLCUE_ALLOW_INSECURE": "true"}).allow_insecure
    with pytest.raises(SettingInvalid, match=r"^--listen \[::\]:1 would serve plain text"):
        Settings.load([*FAKE, "--listen", "[::]:1", "--allow-insecure", "false"], {})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--listen", "50051"],
            "--listen '50051' is not HOST:PORT; add the host: for example 127.0.0.1:50051",
        ),
        (
            ["--listen", "h:65536"],
            "--listen 'h:65536' has the port '65536', which is not a number from 0 to 65535",
        ),
        *(
            (
                ["--video-encoders", text],
                f"--video-encoders {text!r} is neither none nor a list of libx264, libsvtav1, h264_nvenc, av1_nvenc, "
                "separated by commas",
            )
            for text in ("", "libx265", "libx264,none", "libx264,")
        ),
        (["--queue-capacity", "-1"], "--queue-capacity '-1' is not a whole number from 0 to 10000"),
        (["--given-frame-count", "6"], "--given-frame-count '6' is not 4n + 1; set 1, 5, 9 or another one of these"),
        (["--max-stall-seconds", "nan"], "--max-stall-seconds 'nan' is not a number of seconds from 0.01 to 3600"),
        (["--max-stall-seconds", "x"], "--max-stall-seconds 'x' is not a number of seconds from 0.01 to 3600"),
        (
            ["--max-buffered-bytes", "1"],
            "--max-buffered-bytes '1' is not a whole number from 16777216 to 1099511627776",
        ),
        (
            ["--memory-budget-bytes", "24GB"],
            "--memory-budget-bytes '24GB' is not a whole number from 1048576 to 1125899906842624",
        ),
        *(
            (
                ["--socket-permissions", text],
                f"--socket-permissions {text!r} is not octal permissions from 600 to 777, for example 660 for owner "
                "and group",
            )
            for text in ("", "rw-rw----", "060", "400", "688", "0o660", "6600")
        ),
        *(
            (
                ["--device", text],
                f"--device {text!r} is not auto, cpu, cuda, or one GPU as cuda:1 or cuda:GPU-UUID; `nvidia-smi -L` "
                "lists UUIDs",
            )
            for text in ("gpu", "CPU", "cuda:", "cuda:-1", "cuda:GPU-", "cuda:GPU-xyz", "cuda:1234", "cpu:0")
        ),
        (["--log-level", "loud"], "--log-level 'loud' is not one of debug, info, warning, error"),
        (["--allow-insecure", "maybe"], "--allow-insecure 'maybe' is neither true nor false"),
        (["--nonsense"], "unrecognized arguments: --nonsense; python -m server --help lists every flag"),
    ],
)
def test_a_bad_value_names_itself_and_the_remedy(flags: list[str], message: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        Settings.load([*FAKE, *flags], {})
    assert str(caught.value) == message


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        Settings.load(["--help"], {})
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "--max-buffered-bytes" in text
    assert "STILLCUE_MAX_BUFFERED_BYTES" in text
