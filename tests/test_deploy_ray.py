"""What of ``deploy.ray`` needs no Ray: places, settings, statuses, targets of Prometheus, calls, the Serve configs."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
import yaml
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import CollectorRegistry

from deploy.ray.calls import CallServer
from deploy.ray.metadata import DEADLINE_HEADER
from deploy.ray.places import NoPlace, Places
from deploy.ray.scraping import TargetFile, listen
from deploy.ray.settings import FleetArgs, named, read_settings
from deploy.ray.statuses import status_of
from server.jobs.replica import replica_key
from server.settings import Address, SettingInvalid, Settings
from tests.server_processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

OPEN = {"STILLCUE_ENGINE": "fake", "STILLCUE_ALLOW_INSECURE": "true"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def take(places: Places, job_id: str) -> asyncio.Task[str]:
    """A job that asks for a place, and has got it or waits."""
    task = asyncio.ensure_future(places.take(job_id))
    await asyncio.sleep(0)
    return task


async def test_a_job_goes_to_the_replica_with_the_fewest() -> None:
    places = Places(2, 0)
    places.set_replicas(["a", "b"])
    assert [await places.take(job) for job in "1234"] == ["a", "b", "a", "b"]
    with pytest.raises(NoPlace):
        await places.take("5")
    places.free("2")
    assert await places.take("6") == "b"


async def test_jobs_get_free_places_in_the_order_in_which_they_came() -> None:
    places = Places(1, 2)
    places.set_replicas(["a"])
    assert await places.take("1") == "a"
    second, third = await take(places, "2"), await take(places, "3")
    with pytest.raises(NoPlace):
        await places.take("4")
    places.free("1")
    assert await second == "a"
    assert not third.done()
    last = await take(places, "5")
    places.free("2")
    assert await third == "a"
    assert not last.done()
    last.cancel()


async def test_a_cancelled_job_leaves_its_place() -> None:
    places = Places(1, 2)
    places.set_replicas(["a"])
    await places.take("1")
    second, third = await take(places, "2"), await take(places, "3")
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second
    assert places.waiting_count == 1
    places.free("1")
    assert await third == "a"


async def test_a_job_that_is_cancelled_as_it_gets_its_place_frees_it() -> None:
    places = Places(1, 2)
    places.set_replicas(["a"])
    await places.take("1")
    second, third = await take(places, "2"), await take(places, "3")
    places.free("1")
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second
    assert await third == "a"


async def test_a_new_replica_takes_waiting_jobs_and_a_lost_one_none() -> None:
    places = Places(1, 1)
    waiting = await take(places, "1")
    places.set_replicas(["a"])
    assert await waiting == "a"
    places.set_replicas(["b"])
    assert await places.take("2") == "b"
    third = await take(places, "3")
    places.free("1")  # on the replica that is gone
    await asyncio.sleep(0)
    assert not third.done()
    places.free("2")
    assert await third == "b"


async def test_a_place_that_no_job_was_sent_for_is_taken_back() -> None:
    clock = Clock()
    places = Places(1, 0, clock)
    places.set_replicas(["a", "b"])
    assert [await places.take("1"), await places.take("2")] == ["a", "b"]
    places.sent("1")
    clock.now = 31.0
    assert await places.take("3") == "b"
    with pytest.raises(NoPlace):
        await places.take("4")


def test_args_have_defaults_and_are_checked() -> None:
    assert FleetArgs.read({}) == FleetArgs(jobs_per_replica=1, waiting_limit=32, targets_folder=None)
    names = "jobs_per_replica, waiting_limit, targets_folder"
    wrong: list[tuple[dict[str, object], str]] = [
        ({"jobs": 1}, f"args.jobs of the Serve config is unknown; args are {names}"),
        ({"jobs_per_replica": 0}, "args.jobs_per_replica of the Serve config is not a whole number from 1 to 10000"),
        ({"waiting_limit": "2"}, "args.waiting_limit of the Serve config is not a whole number from 0 to 10000"),
        ({"targets_folder": 3}, "args.targets_folder of the Serve config is not the path of a folder"),
    ]
    for args, fault in wrong:
        with pytest.raises(SettingInvalid) as raised:
            FleetArgs.read(args)
        assert str(raised.value) == fault


def test_settings_that_ray_has_in_its_hands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"^Ray's proxy serves plain text on every address"):
        read_settings({"STILLCUE_ENGINE": "fake"})
    with pytest.raises(SettingInvalid, match=r"^STILLCUE_HEALTH_LISTEN has no effect"):
        read_settings({**OPEN, "STILLCUE_HEALTH_LISTEN": "127.0.0.1:0"})
    tls = {"STILLCUE_TLS_CERTIFICATE_CHAIN": str(tmp_path), "STILLCUE_TLS_PRIVATE_KEY": str(tmp_path)}
    with pytest.raises(SettingInvalid, match=r"^STILLCUE_TLS_CERTIFICATE_CHAIN has no effect"):
        read_settings({**OPEN, **tls})


def test_a_replica_is_named_by_the_setting_and_by_ray() -> None:
    settings = read_settings({**OPEN, "STILLCUE_REPLICA": "salt"})
    assert named(settings, "x1").replica == "salt/x1"
    assert named(read_settings(OPEN), "x1").replica == "ray/x1"
    assert replica_key("ray/x1") != replica_key("ray/x2")


@pytest.mark.parametrize(
    ("code", "text", "expected", "reason", "retry_seconds"),
    [
        ("RESOURCE_EXHAUSTED", "Request dropped", "RESOURCE_EXHAUSTED", "NO_REPLICA_FREE", 5),
        ("UNAVAILABLE", "unavailable", "UNAVAILABLE", "NO_REPLICA_FREE", 2),
        ("NOT_FOUND", "Application metadata not set.", "UNAVAILABLE", "NO_REPLICA_FREE", 2),
        ("INTERNAL", "The actor 98eaf9e4 is unavailable: /opt/x.py", "UNAVAILABLE", None, None),
        ("INTERNAL", "ray::Replica() ray.exceptions.ActorDiedError: /opt/x.py", "UNAVAILABLE", None, None),
        ("INTERNAL", 'ray::Replica() File "/opt/x.py", line 3', "INTERNAL", "INTERNAL", None),
        ("DEADLINE_EXCEEDED", "Request timed out", "DEADLINE_EXCEEDED", None, None),
        ("CANCELLED", "Client for request disconnected", "CANCELLED", None, None),
    ],
)
def test_rays_own_errors_become_statuses_without_its_text(
    code: str, text: str, expected: str, reason: str | None, retry_seconds: int | None
) -> None:
    made = status_of(grpc.StatusCode[code], text)
    assert made.code is grpc.StatusCode[expected]
    assert text not in made.details
    ((_, packed),) = made.trailing_metadata
    status = status_pb2.Status.FromString(packed)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    found = {type(kind).__name__: kind for item in status.details for kind in (info, retry) if item.Unpack(kind)}
    assert (info.reason or None, info.domain or None) == (reason, "stillcue" if reason else None)
    assert ("RetryInfo" in found) == (retry_seconds is not None)
    assert retry.retry_delay.seconds == (retry_seconds or 0)


def test_replicas_of_one_machine_take_ports_one_after_the_other() -> None:
    first = listen(Address("127.0.0.1", 0), CollectorRegistry())
    second = listen(first.address, CollectorRegistry())
    try:
        assert second.address.port > first.address.port
        with pytest.raises(SettingInvalid, match="cannot be bound"):
            listen(Address("203.0.113.1", 9464), CollectorRegistry())
    finally:
        first.close()
        second.close()


def test_a_target_file_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    stale = tmp_path / "gone.4194305.json"  # above the largest process id
    stale.write_text("[]")
    target = TargetFile(tmp_path, "x1")
    target.write(Address("127.0.0.1", 9464), {"replica": "x1"})
    (path,) = tmp_path.iterdir()
    assert path.name == f"x1.{os.getpid()}.json"
    assert json.loads(path.read_text()) == [{"targets": ["127.0.0.1:9464"], "labels": {"replica": "x1"}}]
    target.remove()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(SettingInvalid, match=r"^args.targets_folder .* cannot be written: "):
        TargetFile(tmp_path / "file", "x1").write(Address("127.0.0.1", 9464), {})


class Context:
    """Ray's context of a call, as far as a replica uses it."""

    def __init__(self, *metadata: tuple[str, str]) -> None:
        self.metadata = list(metadata)
        self.status: list[Any] = []

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self.metadata

    def auth_context(self) -> dict[str, Any]:
        return {}

    def set_code(self, code: grpc.StatusCode) -> None:
        self.status.append(code)

    def set_details(self, details: str) -> None:
        self.status.append(details)

    def set_trailing_metadata(self, metadata: list[tuple[str, bytes]]) -> None:
        self.status.append(metadata)


class PassingInterceptor:
    """Calls the handler with the deadline that it sees."""

    def __init__(self, serve: Any) -> None:
        self._serve = serve

    async def intercept_service(self, find: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = await find(details)
        assert handler == details.method

        return grpc.stream_stream_rpc_method_handler(self._serve)


async def test_a_status_travels_with_the_last_message() -> None:
    async def serve(_requests: Any, context: Any) -> None:
        assert await context.read() == b"request"
        assert context.time_remaining() is None
        await context.abort(grpc.StatusCode.NOT_FOUND, "no", (("key-bin", b"1"),))

    calls: Any = CallServer(PassingInterceptor(serve), {"/s/M": "/s/M"})  # type: ignore[arg-type,dict-item]
    context: Any = Context()
    messages = [message.data async for message in calls.stream("/s/M", b"request", context)]
    assert messages == [b""]
    assert context.status == [grpc.StatusCode.NOT_FOUND, "no", [("key-bin", b"1")]]


async def test_closing_a_stream_cancels_its_call() -> None:
    ended: list[str] = []

    async def serve(_requests: Any, context: Any) -> None:
        assert context.time_remaining() > 0
        await context.write(error_details_pb2.ErrorInfo(reason="A"))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    calls: Any = CallServer(PassingInterceptor(serve), {"/s/M": "/s/M"})  # type: ignore[arg-type,dict-item]
    stream = calls.stream("/s/M", b"", Context((DEADLINE_HEADER, "32503680000.000")))
    assert (await anext(stream)).SerializeToString() == error_details_pb2.ErrorInfo(reason="A").SerializeToString()
    await stream.aclose()
    assert ended == ["cancelled"]


@pytest.mark.parametrize("name", ["cpu.yaml", "gpu.yaml"])
def test_the_serve_configs_name_what_exists(name: str) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "ray" / name).read_text())
    (application,) = config["applications"]
    module, _, function = application["import_path"].partition(":")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert f"def {function}(" in source
    assert f'DEPLOYMENT_NAME = "{application["deployments"][0]["name"]}"' in source
    assert config["grpc_options"]["grpc_servicer_functions"] == ["deploy.ray.gateway.add_services"]
    assert "def add_services(" in (ROOT / "deploy" / "ray" / "gateway.py").read_text()
    FleetArgs.read(application["args"])
    variables = application["runtime_env"]["env_vars"]
    assert set(variables) <= {f"STILLCUE_{field.name.upper()}" for field in fields(Settings)}
    assert read_settings(variables).bundle is not None
