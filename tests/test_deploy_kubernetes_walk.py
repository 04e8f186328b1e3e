"""A fleet of the manifests on this machine, and the kinds that come with operators.

HAProxy with the rendered configuration finds servers by names whose addresses change; Prometheus with the scrape
configuration gives the figures of the autoscalers.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
import yaml
from google.protobuf import duration_pb2

from engine.testing.fake_engine import FakeEngine
from server.settings import Address
from stillcue.proxies import DIRECT
from stillcue.v1 import capabilities_pb2, generate_pb2
from tests.certificates import Signer
from tests.fake_job import GRAPH_CALL_COUNT
from tests.kubernetes_manifests import FOLDER, PAGE, Rendered, environment_of, render_all, server_of, write_fleet
from tests.kubernetes_names import Names, name_server
from tests.serving import Served, generate_request, served, stub_of
from tests.test_deploy_kubernetes_scaling import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.walk

PATIENCE_SECONDS = 40
DOMAIN = "stillcue-headless.stillcue.svc.cluster.local"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    return render_all(tmp_path_factory.mktemp("rendered"))


@pytest.mark.parametrize("kind", ["ScaledObject", "PodMonitor"])
def test_documents_fit_the_models_of_their_operators(rendered: dict[str, Rendered], kind: str) -> None:
    from cloudcoil.models.keda.v1alpha1 import ScaledObject
    from cloudcoil.models.prometheus_operator.v1 import PodMonitor

    model = {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor}[kind]
    document = rendered["scaled-by-keda"].one(kind)
    # A field that the model does not know is left out of what it says again.
    assert model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True) == document
    with pytest.raises(ValueError, match="spec"):
        model.model_validate({**document, "spec": "wrong"})


async def test_haproxy_takes_the_encrypted_configuration(rendered: dict[str, Rendered], tmp_path: Path) -> None:
    """The flags of the page name files that the Secret has; with them HAProxy finds its configuration right."""
    flags = re.search(r"^(--files-elsewhere .*)$", PAGE, re.MULTILINE)
    assert flags is not None
    write_fleet(tmp_path / "fleet", *flags[1].split())
    (mount,) = [
        item["mountPath"]
        for item in rendered["encrypted-fleet"].pods()["stillcue-haproxy"][1]["containers"][0]["volumeMounts"]
        if item["name"] == "tls"
    ]
    configuration = (tmp_path / "fleet" / "haproxy.cfg").read_text(encoding="utf-8")
    assert set(re.findall(rf"'({mount}/[^']+)'", configuration)) == {f"{mount}/haproxy.pem", f"{mount}/ca.crt"}
    signer = Signer()
    identity = signer.sign("stillcue.test")
    (tmp_path / "haproxy.pem").write_bytes(identity.chain + identity.key)
    (tmp_path / "ca.crt").write_bytes(signer.pem)
    file = tmp_path / "fleet" / "haproxy.cfg"
    file.write_text(configuration.replace(f"'{mount}/", f"'{tmp_path}/"), encoding="utf-8")
    check = await asyncio.create_subprocess_exec(
        program_path("haproxy"), "-c", "-f", str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await check.communicate()
    assert check.returncode == 0, output.decode()


@dataclass
class Fleet:
    """Servers with addresses of their own, as pods have; each waits before every graph call."""

    server: dict[str, Any]
    names: Names
    port: int
    stack: AsyncExitStack
    gates: dict[str, Semaphore] = field(default_factory=dict)
    running: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def start(self, pod: str, host: str) -> Served:
        self.gates[pod] = Semaphore(0)
        self.running[pod] = stack = await self.stack.enter_async_context(AsyncExitStack())
        replica = environment_of(self.server, pod)["STILLCUE_REPLICA"]
        engine = FakeEngine(gate=self.gates[pod])
        found = await stack.enter_async_context(served(engine, listen=Address(host, self.port), replica=replica))
        self.names.addresses[f"{pod}.{DOMAIN}"] = host
        return found

    async def stop(self, pod: str) -> None:
        del self.names.addresses[f"{pod}.{DOMAIN}"]
        await self.running.pop(pod).aclose()

    def finish(self, pod: str) -> None:
        """Lets the running job end."""
        self.gates[pod].release(GRAPH_CALL_COUNT)


async def test_a_fleet_of_the_manifests(rendered: dict[str, Rendered], tmp_path: Path) -> None:
    manifests = rendered["several-cards"]
    (files,) = [item["data"] for item in manifests.named("ConfigMap", "stillcue-haproxy-")]
    backends = dict(line.split() for line in files["replicas.map"].splitlines() if not line.startswith("#"))
    async with AsyncExitStack() as stack:
        names, name_address = await stack.enter_async_context(name_server())
        fleet = Fleet(server_of(manifests), names, free_port(), stack)
        pods = {"stillcue-0": await fleet.start("stillcue-0", "127.0.1.1")}
        pods["stillcue-1"] = await fleet.start("stillcue-1", "127.0.1.2")
        callers, metrics = Address("127.0.0.1", free_port()), Address("127.0.0.1", free_port())
        configuration = replaced(
            files["haproxy.cfg"],
            ("    parse-resolv-conf", f"    nameserver test {name_address}"),
            ("bind 0.0.0.0:50050", f"bind {callers}"),
            ("bind 0.0.0.0:8404", f"bind {metrics}"),
            (f"{DOMAIN}:50051", f"{DOMAIN}:{fleet.port}"),
        )
        for name, content in {**files, "haproxy.cfg": configuration}.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        await stack.enter_async_context(program(tmp_path, "haproxy", "-W", "-db", "-f", tmp_path / "haproxy.cfg"))
        targets = [target(metrics, "stillcue-haproxy-7d9c", "haproxy", 8404)]
        targets += [target(served.metrics_address, pod, "stillcue", 9464) for pod, served in pods.items()]
        ask = await stack.enter_async_context(prometheus(tmp_path, targets))
        # The other two servers of the list do not exist.
        await reaches(ask, 'haproxy_backend_active_servers{job="haproxy", proxy="generate"}', {(): 2})
        await reaches(
            ask,
            'up{job="stillcue", namespace="stillcue", pool="gpu"}',
            {("instance", "stillcue-0"): 1, ("instance", "stillcue-1"): 1},
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(str(callers), options=DIRECT))
        calls = [stub_of(channel).Generate(new_request()) for _ in range(4)]
        firsts = [asyncio.create_task(first_of(call)) for call in calls]
        # Two run, and two wait at HAProxy.
        await reaches(ask, QUERIES["demand"], {(): 2 + 2 / 2})
        done = [task.result() for task in firsts if task.done()]
        assert {backends[first.resume_token.partition(".")[0]] for first in done} == {f"replica-{pod}" for pod in pods}
        for _ in range(2):
            for pod in pods:
                fleet.finish(pod)
        for task in firsts:
            await asyncio.wait_for(task, PATIENCE_SECONDS)
        await asyncio.gather(*(rest_of(call) for call in calls))
        await reaches(ask, QUERIES["demand"], {(): 0})
        await positive(ask, QUERIES["wait"])
        # A pod that is made again has another address, and the same name and key.
        await fleet.stop("stillcue-0")
        await reaches(ask, 'haproxy_backend_active_servers{job="haproxy", proxy="generate"}', {(): 1})
        await fleet.start("stillcue-0", "127.0.1.3")
        await reaches(ask, 'haproxy_backend_active_servers{job="haproxy", proxy="generate"}', {(): 2})
        again = [stub_of(channel).Generate(new_request()) for _ in range(2)]
        found = [await first_of(call) for call in again]
        assert {backends[first.resume_token.partition(".")[0]] for first in found} == {f"replica-{pod}" for pod in pods}
        for key, backend in backends.items():
            call = stub_of(channel).GetCapabilities(
                capabilities_pb2.GetCapabilitiesRequest(), metadata=(("stillcue-replica", key),)
            )
            exists = backend.removeprefix("replica-") in pods
            assert await asyncio.wait_for(call.code(), PATIENCE_SECONDS) is (
                grpc.StatusCode.OK if exists else grpc.StatusCode.UNAVAILABLE
            )
        for pod in pods:
            fleet.finish(pod)
        await asyncio.gather(*(rest_of(call) for call in again))


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Replaces what a test cannot have: a cluster's ports and its names."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def new_request() -> generate_pb2.GenerateRequest:
    """A job that can be resumed, so that its first message has a resume token."""
    stream = generate_pb2.StreamSpec(resume_window=duration_pb2.Duration(seconds=30))
    return generate_request(request_id=str(uuid.uuid4()), stream=stream)


async def first_of(call: Any) -> Any:
    return await anext(aiter(call))


async def rest_of(call: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert [message.WhichOneof("event") async for message in call][-1] == "summary"


def target(address: Address, pod: str, app: str, port: int) -> dict[str, Any]:
    """A target as Prometheus finds it in a cluster, by the pod's labels and annotations in the manifests."""
    return {
        "targets": [str(address)],
        "labels": {
            "__meta_kubernetes_namespace": "stillcue",
            "__meta_kubernetes_pod_name": pod,
            "__meta_kubernetes_pod_label_app_kubernetes_io_name": app,
            "__meta_kubernetes_pod_label_app_kubernetes_io_part_of": "stillcue",
            "__meta_kubernetes_pod_label_stillcue_pool": "gpu",
            "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
            "__meta_kubernetes_pod_annotation_prometheus_io_port": str(port),
            "__meta_kubernetes_pod_annotation_prometheus_io_path": "/metrics",
            "__meta_kubernetes_pod_container_port_number": str(port),
        },
    }


@asynccontextmanager
async def prometheus(folder: Path, targets: list[dict[str, Any]]) -> AsyncIterator[Any]:
    """Scrapes targets with the rules of scrape.yml; gives a function that evaluates a query."""
    (scrape,) = yaml.safe_load((FOLDER / "scrape.yml").read_text(encoding="utf-8"))
    del scrape["kubernetes_sd_configs"]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{**scrape, "static_configs": targets}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = Address("127.0.0.1", free_port())
    flags = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}")
    async with program(folder, "prometheus", *flags, f"--web.listen-address={address}"):

        async def ask(query: str) -> dict[tuple[str, ...], float]:
            """Values by the labels that tell the series apart; nothing before Prometheus is up."""
            url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"

            def get() -> Any:
                try:
                    with urllib.request.urlopen(url) as response:
                        return json.load(response)["data"]["result"]
                except urllib.error.HTTPError as error:
                    if error.code == 503:
                        return []
                    raise AssertionError(f"{query}: {error.read().decode()}") from error
                except (urllib.error.URLError, ConnectionError):
                    return []

            found = await asyncio.to_thread(get)
            return {labels_of(item["metric"], len(found)): float(item["value"][1]) for item in found}

        yield ask


def labels_of(metric: dict[str, str], count: int) -> tuple[str, ...]:
    return () if count == 1 else ("instance", metric["instance"])


async def reaches(ask: Any, query: str, expected: dict[tuple[str, ...], float]) -> None:
    """Waits until a query has these values."""
    found = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (found := await ask(query)) != expected:
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{query}: {found}, not {expected}") from None


async def positive(ask: Any, query: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await ask(query)).get((), 0) > 0:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def program(folder: Path, name: str, *arguments: str | Path) -> AsyncIterator[None]:
    """Runs a program until the end of the block."""
    path = program_path(name)
    with (folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(path, *map(str, arguments), stdout=log, stderr=log)
    try:
        yield
        assert process.returncode is None, (folder / f"{name}.log").read_text(encoding="utf-8")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def program_path(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
