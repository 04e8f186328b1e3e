"""The script of the component bundle-copy, run by the shell in folders of this machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.kubernetes_manifests import FOLDER

SERVER = yaml.safe_load((FOLDER / "components" / "bundle-copy" / "server.yaml").read_text(encoding="utf-8"))
(COPY,) = SERVER["spec"]["template"]["spec"]["initContainers"]
(SERVING,) = SERVER["spec"]["template"]["spec"]["containers"]
COPIED = "the bundle is copied\n"
KEPT = "the bundle is there already\n"


@dataclass(frozen=True)
class Volumes:
    source: Path
    target: Path

    def run(self, *before: str) -> subprocess.CompletedProcess[str]:
        environment = {item["name"]: item["value"] for item in COPY["env"]}
        assert environment == {"SOURCE": "/source", "TARGET": "/bundle"}
        environment = {**os.environ, "SOURCE": str(self.source), "TARGET": str(self.target)}
        return subprocess.run(
            [*before, *COPY["command"], *COPY["args"]], env=environment, capture_output=True, text=True, check=False
        )

    def content(self) -> dict[str, str]:
        """The files below the target, by their paths."""
        files = [path for path in self.target.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.target)): path.read_text(encoding="utf-8") for path in files}


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    found = Volumes(tmp_path / "source of a bundle", tmp_path / "target")
    (found.source / "graphs").mkdir(parents=True)
    found.target.mkdir()
    (found.source / "bundle.json").write_text("first", encoding="utf-8")
    (found.source / "graphs" / "vae.onnx").write_text("graph", encoding="utf-8")
    return found


def test_the_server_reads_what_was_copied(volumes: Volumes) -> None:
    run = volumes.run()
    assert (run.returncode, run.stdout, run.stderr) == (0, COPIED, "")
    assert volumes.content() == {"current/bundle.json": "first", "current/graphs/vae.onnx": "graph"}
    assert SERVING["env"] == [{"name": "STILLCUE_BUNDLE", "value": "/bundle/current"}]
    targets = {mount["mountPath"]: mount["name"] for mount in COPY["volumeMounts"]}
    assert targets["/bundle"] == SERVING["volumeMounts"][0]["name"]


def test_a_bundle_is_copied_once(volumes: Volumes) -> None:
    assert volumes.run().stdout == COPIED
    before = (volumes.target / "current" / "graphs" / "vae.onnx").stat()
    assert volumes.run().stdout == KEPT
    assert (volumes.target / "current" / "graphs" / "vae.onnx").stat() == before


def test_another_bundle_replaces_the_first(volumes: Volumes) -> None:
    volumes.run()
    (volumes.source / "bundle.json").write_text("second", encoding="utf-8")
    (volumes.source / "graphs" / "vae.onnx").unlink()
    (volumes.source / "plan").write_text("plan", encoding="utf-8")
    assert volumes.run().stdout == COPIED
    assert volumes.content() == {"current/bundle.json": "second", "current/plan": "plan"}


def test_an_interrupted_copy_is_made_again(volumes: Volumes) -> None:
    volumes.run()
    (volumes.source / "bundle.json").write_text("second", encoding="utf-8")
    (volumes.target / "next").mkdir()
    (volumes.target / "next" / "bundle.json").write_text("second", encoding="utf-8")
    (volumes.target / "next" / "left-over").write_text("half", encoding="utf-8")
    assert volumes.run().stdout == COPIED
    assert volumes.content() == {"current/bundle.json": "second", "current/graphs/vae.onnx": "graph"}


def test_a_copy_that_fails_leaves_the_bundle_before(volumes: Volumes) -> None:
    volumes.run()
    (volumes.source / "bundle.json").write_text("second", encoding="utf-8")
    (volumes.source / "weights").write_bytes(bytes(4096))
    run = volumes.run("prlimit", "--fsize=1024")  # a disk that takes no more
    assert run.returncode != 0
    assert (volumes.target / "current" / "bundle.json").read_text(encoding="utf-8") == "first"
    assert volumes.run().stdout == COPIED
    assert (volumes.target / "current" / "weights").read_bytes() == bytes(4096)


def test_without_a_source_the_pod_does_not_start(volumes: Volumes) -> None:
    volumes.run()
    missing = Volumes(volumes.source / "missing", volumes.target)
    run = missing.run()
    assert run.returncode != 0
    assert "missing" in run.stderr
    assert volumes.content()["current/bundle.json"] == "first"
