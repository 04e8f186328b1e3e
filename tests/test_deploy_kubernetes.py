"""The manifests of deploy/kubernetes, rendered by kustomize: valid, hardened, and in agreement with server and image.

No cluster is asked. tests/test_deploy_kubernetes_scaling.py has the queries, tests/test_deploy_kubernetes_walk.py what
takes longer.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import grpc
import kubernetes_validate
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.testing.fake_engine import FakeEngine
from server.jobs.replica import replica_key
from server.settings import Address, setting_rows
from tests.kubernetes_manifests import (
    DOCKERFILE,
    FOLDER,
    OPERATORS_KINDS,
    PAGE,
    SALT,
    SERVER_COUNT,
    WAYS,
    Document,
    Rendered,
    environment_of,
    render_all,
    server_of,
    settings_of,
)
from tests.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

# preStop ends before the server hears of the end, and after its drain it says its last words.
STOP_SECONDS = 20
SERVERS_WAYS = [way for way in WAYS if way != "bundle-loader"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    return render_all(tmp_path_factory.mktemp("rendered"))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    return rendered[request.param]


@pytest.fixture(params=SERVERS_WAYS)
def servers(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    return rendered[request.param]


def test_every_component_and_overlay_is_rendered_and_stands_on_the_page() -> None:
    components = {path.parent.name for path in FOLDER.glob("components/*/kustomization.yaml")}
    overlays = {path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml")}
    files = [path.read_text(encoding="utf-8") for path in FOLDER.rglob("kustomization.yaml")]
    used = {name for _, names in WAYS.values() for name in names} | set(
        re.findall(r"^[^#\n]*components/([\w-]+)", "\n".join(files), re.MULTILINE)
    )
    assert used >= components
    assert {f"overlays/{name}" for name in overlays} <= {name for names, _ in WAYS.values() for name in names}
    assert (
        set(re.findall(r"^\| `([\w-]+)` \|", PAGE.partition("## Components")[2].partition("\n## ")[0], re.MULTILINE))
        == components
    )
    assert set(re.findall(r"^\| `overlays/([\w-]+)` \|", PAGE, re.MULTILINE)) == overlays
    for path in re.findall(r"deploy/kubernetes/[\w./-]+", PAGE):
        assert (FOLDER.parent.parent / path).exists() or path.endswith("/fleet"), path


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_documents_fit_the_schemas_of_kubernetes(rendered: dict[str, Rendered], version: str) -> None:
    different = {json.dumps(document): document for way in rendered.values() for document in way.documents}
    for document in different.values():
        if document["kind"] not in OPERATORS_KINDS:
            kubernetes_validate.validate(document, version, strict=True)
    assert "They need Kubernetes 1.30 or newer" in PAGE
    assert "the schemas of Kubernetes 1.30 and 1.37" in PAGE


def test_an_unknown_field_is_refused(rendered: dict[str, Rendered]) -> None:
    document = rendered["one-card"].one("PodDisruptionBudget")
    document = {**document, "spec": {**document["spec"], "maxUnavailble": 1}}
    with pytest.raises(kubernetes_validate.ValidationError, match="maxUnavailble"):
        kubernetes_validate.validate(document, "1.37", strict=True)


def containers(rendered: Rendered) -> Iterator[tuple[str, Document]]:
    for name, (_, pod) in rendered.pods().items():
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            yield name, container


def test_nobody_is_root_and_nothing_is_written_but_volumes(way: Rendered) -> None:
    for name, (_, pod) in way.pods().items():
        assert pod["automountServiceAccountToken"] is False
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not any("hostPath" in volume for volume in pod["volumes"]), name
    for name, container in containers(way):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
    for namespace in way.of_kind("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pods_of_the_image_run_as_its_user(way: Rendered) -> None:
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    for name, (_, pod) in way.pods().items():
        if not name.endswith("haproxy"):
            assert str(pod["securityContext"]["runAsUser"]) == str(pod["securityContext"]["fsGroup"]) == user[1]


def test_images_are_those_that_the_page_builds(way: Rendered) -> None:
    version = re.search(
        r'^version = "(.+)"$', (FOLDER.parent.parent / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version is not None
    built = {tag.rpartition("/")[2] for tag in re.findall(r"docker build .*-t (\S+)", PAGE)}
    assert built == {f"{name}:{version[1]}" for name in ("stillcue", "stillcue-card", "stillcue-pocket")}
    for _, container in containers(way):
        assert container["image"] in {*built, "haproxy:2.6"}


def test_one_gpu_for_each_server_and_the_image_for_it(servers: Rendered) -> None:
    server = server_of(servers)
    if servers.way == "cpu-demo":
        assert server["image"].startswith("stillcue-pocket:")
        assert not any("gpu" in name for kind in server["resources"].values() for name in kind)
        return
    assert server["image"].startswith("stillcue-card:")
    assert server["resources"]["limits"]["nvidia.com/gpu"] == server["resources"]["requests"]["nvidia.com/gpu"] == "1"
    (toleration,) = servers.one("StatefulSet")["spec"]["template"]["spec"]["tolerations"]
    assert toleration["key"] == "nvidia.com/gpu"


def test_the_server_takes_its_environment(servers: Rendered) -> None:
    known = {row.environment for row in setting_rows()}
    for item in server_of(servers)["env"]:
        assert item["name"] in known | {"FLEET_SALT", "POD_NAME"}
    settings = settings_of(servers)
    is_encrypted = servers.way.startswith("encrypted")
    assert settings.is_encrypted is is_encrypted
    assert settings.allow_insecure is not is_encrypted
    assert (settings.callers is not None) is (servers.way == "encrypted")
    assert settings.health_listen == Address("0.0.0.0", 50052)
    copied = "/bundle/current" if servers.way == "copied" else "/bundle"
    assert str(settings.bundle) == copied  # the image of the demo sets another one
    demo = (FOLDER / "overlays" / "cpu-demo" / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY . /pocket\nENV STILLCUE_BUNDLE=/pocket\n" in demo
    has_proxy = bool(servers.of_kind("Deployment"))
    assert settings.replica == (f"{SALT}/stillcue-0" if has_proxy else "")


def test_ports_are_those_that_the_server_listens_on(servers: Rendered) -> None:
    settings = settings_of(servers)
    ports = {item["name"]: item["containerPort"] for item in server_of(servers)["ports"]}
    assert isinstance(settings.listen, Address)
    assert isinstance(settings.health_listen, Address)
    assert ports == {
        "grpc": settings.listen.port,
        "health": settings.health_listen.port,
        "metrics": settings.metrics_listen.port,
    }
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server_of(servers)[name]["grpc"]["port"] == ports["health"]


async def test_probes_ask_for_services_that_health_has(rendered: dict[str, Rendered]) -> None:
    server = server_of(rendered["one-card"])
    services = {
        name: server[f"{name}Probe"]["grpc"].get("service", "") for name in ("startup", "readiness", "liveness")
    }
    assert services == {"startup": "", "readiness": "", "liveness": "liveness"}
    async with (
        served(FakeEngine(), health_listen=Address("127.0.0.1", 0)) as running,
        grpc.aio.insecure_channel(str(running.server._bound_ports[0].address)) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for service in services.values():
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_start_has_half_an_hour_and_a_silent_server_a_minute(servers: Rendered) -> None:
    startup, liveness = server_of(servers)["startupProbe"], server_of(servers)["livenessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 30 * 60
    assert liveness["periodSeconds"] * liveness["failureThreshold"] == 60


def test_a_pod_may_take_as_long_as_its_drain(servers: Rendered) -> None:
    drain_seconds = settings_of(servers).drain_grace_seconds
    assert drain_seconds == (300 if servers.way == "cpu-demo" else 900)
    for _, pod in servers.pods().values():
        (container,) = pod["containers"]
        wait_seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] == wait_seconds + drain_seconds + STOP_SECONDS


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def test_selectors_select_one_kind_of_pod(servers: Rendered) -> None:
    pods = servers.pods()

    def selected(labels: dict[str, str]) -> set[str]:
        return {name for name, (own, _) in pods.items() if matches(labels, own)}

    for name in pods:
        owner = servers.one("StatefulSet" if name == "stillcue" else "Deployment", name)
        assert selected(owner["spec"]["selector"]["matchLabels"]) == {name}
        for constraint in pods[name][1].get("topologySpreadConstraints", []):
            assert selected(constraint["labelSelector"]["matchLabels"]) == {name}
        policy = servers.one("NetworkPolicy", name)
        assert selected(policy["spec"]["podSelector"]["matchLabels"]) == {name}
    assert selected(servers.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]) == {"stillcue"}
    for service in servers.of_kind("Service"):
        (name,) = selected(service["spec"]["selector"])
        assert service["metadata"]["name"] in {name, f"{name}-headless"}
    for monitor in servers.of_kind("PodMonitor"):
        assert selected(monitor["spec"]["selector"]["matchLabels"]) == set(pods)
        assert {own[monitor["spec"]["jobLabel"]] for own, _ in pods.values()} == {"stillcue", "haproxy"}
    for scaler in servers.of_kind("ScaledObject", "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert servers.one(target["kind"], target["name"])["apiVersion"] == target["apiVersion"]
        assert "replicas" not in servers.one(target["kind"])["spec"]


def test_services_and_policies_lead_to_named_ports(servers: Rendered) -> None:
    pods = servers.pods()
    stateful = servers.one("StatefulSet")
    headless = servers.one("Service", stateful["spec"]["serviceName"])["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    for service in servers.of_kind("Service"):
        (pod,) = [pod for own, pod in pods.values() if matches(service["spec"]["selector"], own)]
        ports = {item["name"]: item["containerPort"] for item in pod["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
            assert port["appProtocol"] == ("https" if servers.way.startswith("encrypted") else "kubernetes.io/h2c")
    for name, (labels, pod) in pods.items():
        ports = {item["name"]: item["containerPort"] for item in pod["containers"][0]["ports"]}
        annotations = servers.one("StatefulSet" if name == "stillcue" else "Deployment", name)["spec"]["template"]
        assert annotations["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
        policy = servers.one("NetworkPolicy", name)["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        named = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
        assert named == ["grpc", "metrics"]
        assert set(named) <= set(ports)
        assert labels["app.kubernetes.io/part-of"] == "stillcue"


def test_servers_answer_the_proxy_alone_where_there_is_one(servers: Rendered) -> None:
    (source,) = servers.one("NetworkPolicy")["spec"]["ingress"][0]["from"]
    callers = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"stillcue-caller": "true"}}}
    if not servers.of_kind("Deployment"):
        assert source == callers
        return
    (labels, _), policy = servers.pods()["stillcue-haproxy"], servers.one("NetworkPolicy", "stillcue-haproxy")["spec"]
    assert matches(source["podSelector"]["matchLabels"], labels)
    assert policy["ingress"][0]["from"] == [callers]
    (to_servers,) = policy["egress"][0]["to"]
    assert matches(to_servers["podSelector"]["matchLabels"], servers.pods()["stillcue"][0])
    assert 'stillcue-caller: "true"' in PAGE


def test_volumes_exist_and_are_mounted(way: Rendered) -> None:
    claims = {
        template["metadata"]["name"]
        for owner in way.of_kind("StatefulSet")
        for template in owner["spec"].get("volumeClaimTemplates", [])
    }
    for name, (_, pod) in way.pods().items():
        volumes = {volume["name"] for volume in pod["volumes"]} | (claims if name == "stillcue" else set())
        everything = (*pod.get("initContainers", []), *pod["containers"])
        assert {mount["name"] for item in everything for mount in item["volumeMounts"]} == volumes
        written = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
        assert written == {"stillcue": {"/cache"}, "stillcue-bundle-loader": {"/bundle"}}.get(name, set())
    for owner in way.of_kind("StatefulSet"):
        assert "XDG_CACHE_HOME=/cache" in DOCKERFILE
        template = owner["spec"]["template"]["spec"]
        shared = [item["persistentVolumeClaim"] for item in template["volumes"] if "persistentVolumeClaim" in item]
        assert shared == [] if way.way == "cpu-demo" else shared == [{"claimName": "stillcue-bundle", "readOnly": True}]


def test_the_loader_makes_the_claim_that_servers_read(rendered: dict[str, Rendered]) -> None:
    loader = rendered["bundle-loader"]
    # What deletes a fleet must not delete the namespace, and the bundle with it.
    assert {way for way, found in rendered.items() if found.of_kind("Namespace")} == {"bundle-loader", "cpu-demo"}
    assert loader.one("PersistentVolumeClaim", "stillcue-bundle")["metadata"]["namespace"] == "stillcue"
    pod = loader.one("Pod", "stillcue-bundle-loader")["spec"]
    assert pod["volumes"] == [{"name": "bundle", "persistentVolumeClaim": {"claimName": "stillcue-bundle"}}]
    assert "stillcue-bundle-loader:/bundle" in PAGE


def test_secrets_and_configurations_have_the_keys_that_are_read(servers: Rendered) -> None:
    made = {item["metadata"]["name"]: set(item["data"]) for item in servers.of_kind("Secret", "ConfigMap")}
    made["stillcue-tls"] = {"tls.crt", "tls.key"}  # of the type kubernetes.io/tls
    made["stillcue-callers"] = {"callers"}
    made["stillcue-haproxy-tls"] = {"haproxy.pem", "ca.crt"}
    assert "create secret generic stillcue-haproxy-tls --from-file=haproxy.pem --from-file=ca.crt\n" in PAGE
    assert "create secret tls stillcue-tls --cert=" in PAGE
    assert "create secret generic stillcue-callers --from-file=callers\n" in PAGE
    mounts: dict[tuple[str, str], str] = {}
    for name, (_, pod) in servers.pods().items():
        for volume in pod["volumes"]:
            source = volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name")
            if source is not None:
                (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == volume["name"]]
                mounts[name, mount["mountPath"]] = source
                assert volume.get("secret", {}).get("defaultMode", 0o440) == 0o440  # for the group of fsGroup
                assert (
                    "secret" not in volume or pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
                )
    assert set(mounts.values()) <= set(made)
    for item in server_of(servers)["env"]:
        reference = item.get("valueFrom", {}).get("secretKeyRef")
        if reference is not None:
            assert reference["key"] in made[reference["name"]]
        folder, _, key = item.get("value", "").rpartition("/")
        if folder in {"/tls", "/callers"}:
            assert key in made[mounts["stillcue", folder]]
    has_proxy = bool(servers.of_kind("Deployment"))
    assert set(mounts) == {
        *([("stillcue-haproxy", "/etc/stillcue-haproxy")] if has_proxy else []),
        *([("stillcue", "/tls")] if settings_of(servers).is_encrypted else []),
        *([("stillcue", "/callers")] if settings_of(servers).callers else []),
        *([("stillcue-haproxy", "/tls")] if servers.way == "encrypted-fleet" else []),
    }


def test_haproxy_knows_every_server_by_name_and_key(rendered: dict[str, Rendered]) -> None:
    fleet = rendered["several-cards"]
    (files,) = [item["data"] for item in fleet.named("ConfigMap", "stillcue-haproxy-")]
    stateful, server = fleet.one("StatefulSet"), server_of(fleet)
    namespace = stateful["metadata"]["namespace"]
    assert stateful["spec"]["replicas"] == SERVER_COUNT
    names = [f"stillcue-{index}" for index in range(SERVER_COUNT)]
    keys = [replica_key(environment_of(server, name)["STILLCUE_REPLICA"]) for name in names]
    lines = [line for line in files["replicas.map"].splitlines() if not line.startswith("#")]
    assert lines == [f"{key} replica-{name}" for key, name in zip(keys, names, strict=True)]
    (port,) = [item["containerPort"] for item in server["ports"] if item["name"] == "grpc"]
    for name in names:
        address = f"{name}.{stateful['spec']['serviceName']}.{namespace}.svc.cluster.local:{port}"
        assert f"    server {name} {address}\n" in files["haproxy.cfg"]
    ports = {
        item["name"]: item["containerPort"] for item in fleet.pods()["stillcue-haproxy"][1]["containers"][0]["ports"]
    }
    assert f"    bind 0.0.0.0:{ports['grpc']} " in files["haproxy.cfg"]
    assert f"    bind 0.0.0.0:{ports['metrics']}\n" in files["haproxy.cfg"]
    command = fleet.one("Deployment", "stillcue-haproxy")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-1] == "/etc/stillcue-haproxy/haproxy.cfg"


def test_a_new_configuration_or_salt_rolls_out(rendered: dict[str, Rendered]) -> None:
    fleet = rendered["several-cards"]
    (secret,) = fleet.named("Secret", "stillcue-fleet-")
    (configuration,) = fleet.named("ConfigMap", "stillcue-haproxy-")
    (salt,) = [item for item in server_of(fleet)["env"] if item["name"] == "FLEET_SALT"]
    assert salt["valueFrom"]["secretKeyRef"] == {"name": secret["metadata"]["name"], "key": "salt"}
    volumes = fleet.pods()["stillcue-haproxy"][1]["volumes"]
    assert volumes == [{"name": "configuration", "configMap": {"name": configuration["metadata"]["name"]}}]
