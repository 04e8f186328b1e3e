"""Faulty bundles: each fault is reported with its file and its remedy when the server starts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import open_engine
from engine.api.capabilities import Geometry
from engine.api.errors import BundleInvalid
from engine.api.settings import EngineSettings
from engine.bundle.folder import MANIFEST_NAME, read_manifest
from engine.bundle.graph_spec import EngineSpec
from engine.bundle.manifest import FileSpec, Manifest

_WEIGHTS = "weights/vae.safetensors"
_GRAPH = "vae_decoder_init_64x48.onnx"
_PLAN: dict[str, Any] = {
    "file": "vae.sm_86.plan",
    "compute_capability": "sm_86",
    "compiler": "tensorrt_rtx",
    "compiler_version": "1.7.1.116",
    "activation_bytes": 3,
    "weight_bytes": 2,
    "plan_bytes": 1,
    "build_seconds": 0.5,
    "host_peak_bytes": 4,
}


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def _fault(bundle: Path) -> str:
    with pytest.raises(BundleInvalid) as refused:
        open_engine(bundle, EngineSettings(thread_count=1))
    return str(refused.value)


def _edit(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = bundle / MANIFEST_NAME
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def _overwrite(bundle: Path, name: str, content: bytes) -> None:
    """Changes a file and its digest, so that only whoever reads the content can object."""
    (bundle / name).write_bytes(content)
    spec = FileSpec(sha256=hashlib.sha256(content).hexdigest(), byte_count=len(content))
    _edit(bundle, lambda manifest: manifest["files"].update({name: spec.as_dict()}))


def test_the_manifest_is_read_with_its_own_digest(tiny_bundle: Path) -> None:
    manifest, digest = read_manifest(tiny_bundle)
    assert digest == hashlib.sha256((tiny_bundle / MANIFEST_NAME).read_bytes()).hexdigest()
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_manifest_written_before_plans_and_adapters_is_still_read(bundle: Path) -> None:
    def drop_later_fields(manifest: dict[str, Any]) -> None:
        for name in ("adapters", "distilled"):
            del manifest[name]
        for graph in manifest["graphs"]:
            del graph["engines"]

    _edit(bundle, drop_later_fields)
    manifest, _ = read_manifest(bundle)
    assert manifest.adapters == ()
    assert manifest.distilled is None
    assert all(graph.engines == () for graph in manifest.graphs)


def test_a_graph_finds_the_plan_for_a_card(bundle: Path) -> None:
    (bundle / _PLAN["file"]).touch()
    _edit(bundle, lambda manifest: manifest["graphs"][0].update(engines=[_PLAN]))
    _overwrite(bundle, _PLAN["file"], b"p")
    graph = read_manifest(bundle)[0].graphs[0]
    assert graph.engine("sm_86") == EngineSpec(**_PLAN)
    assert graph.engine("sm_89") is None


def test_no_folder(tmp_path: Path) -> None:
    expected = f"cannot read {tmp_path / 'absent' / MANIFEST_NAME}: No such file or directory; "
    assert _fault(tmp_path / "absent") == expected + "give the folder that `python -m export` wrote"


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert f"cannot read {tmp_path / 'file' / MANIFEST_NAME}: Not a directory; give the folder" in _fault(
        tmp_path / "file"
    )


def test_no_manifest(bundle: Path) -> None:
    (bundle / MANIFEST_NAME).unlink()
    assert f"cannot read {bundle / MANIFEST_NAME}: No such file" in _fault(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"7"])
def test_a_manifest_that_is_not_json(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST_NAME).write_bytes(content)
    assert _fault(bundle) == f"{bundle / MANIFEST_NAME} is not JSON; export the checkpoint again"


@pytest.mark.parametrize("version", [2, None, "1"])
def test_a_manifest_of_another_format(bundle: Path, version: object) -> None:
    _edit(bundle, lambda manifest: manifest.update(format_version=version))
    expected = (
        f"{bundle / MANIFEST_NAME} has format version {version}, this server reads 1; export the checkpoint again"
    )
    assert _fault(bundle) == expected


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda manifest: manifest.update(colour="red"), "Object contains unknown field `colour`"),
        (lambda manifest: manifest["schedule"].update(beta=1), "schedule: Object contains unknown field `beta`"),
        (lambda manifest: manifest.pop("license"), "Object missing required field `license`"),
        (lambda manifest: manifest.update(geometries=[]), "geometries: Expected `array` of length >= 1"),
        (
            lambda manifest: manifest["schedule"].update(order=4),
            "schedule.order: Expected `int` <= 3",
        ),
        (
            lambda manifest: manifest["graphs"][3].update(stage="upscaler"),
            "graphs[3].stage: Invalid enum value 'upscaler'",
        ),
        (
            lambda manifest: manifest["graphs"][3].update(precision="int2"),
            "graphs[3].precision: Invalid enum value 'int2'",
        ),
        (
            lambda manifest: manifest["graphs"][3].update(engines=[{**_PLAN, "compute_capability": "8.6"}]),
            "graphs[3].engines[0].compute_capability: Expected `str` matching regex",
        ),
        (
            lambda manifest: manifest.update(distilled={"step_count": 4, "shift": 5.0, "guidance_scale": 2}),
            "distilled.guidance_scale: Invalid enum value 2",
        ),
    ],
)
def test_a_manifest_with_a_wrong_field(bundle: Path, change: Callable[[dict[str, Any]], None], fault: str) -> None:
    _edit(bundle, change)
    message = _fault(bundle)
    assert message.startswith(f"{bundle / MANIFEST_NAME} is not a manifest: {fault}")
    assert message.endswith("; export the checkpoint again")


@pytest.mark.parametrize("name", [_WEIGHTS, _GRAPH, "tokenizer.json"])
def test_a_missing_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert _fault(bundle) == f"{bundle / name} is missing; copy the bundle again, whole"


def test_a_file_that_is_cut_short(bundle: Path) -> None:
    path = bundle / _WEIGHTS
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    expected = f"{path} has {len(content) - 1} bytes instead of {len(content)}; copy the bundle again, whole"
    assert _fault(bundle) == expected


@pytest.mark.parametrize("name", [_WEIGHTS, _GRAPH, "tokenizer.json", "scorer_contrast.npy"])
def test_a_flipped_bit(bundle: Path, name: str) -> None:
    path = bundle / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    expected = f"{path} does not match its digest: it is damaged or was changed; copy the bundle again"
    assert _fault(bundle) == expected


def _linked(bundle: Path, file: Path, link: Path, target: Path) -> str:
    return (
        f"{file} is a link out of the bundle's folder ({link} leads to {target.resolve()}), and ONNX Runtime reads "
        f"weights from the folder of their graph only; copy the bundle with `cp -rL {bundle} NEW_FOLDER` and serve "
        "the copy"
    )


def test_a_bundle_in_the_cache_of_the_hub_is_made_of_links(bundle: Path, tmp_path: Path) -> None:
    """Files are links into ``blobs``. The copy that the message names can be served."""
    snapshot = tmp_path / "models--me--clips" / "snapshots" / "0123abcd"
    blobs = tmp_path / "models--me--clips" / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(sorted(item for item in bundle.rglob("*") if item.is_file())):
        link = snapshot / file.relative_to(bundle)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, blobs / f"{number:064x}")
        link.symlink_to(os.path.relpath(blobs / f"{number:064x}", link.parent))
    said = _fault(snapshot)
    name = said.removeprefix(f"{snapshot}/").partition(" is a link")[0]
    assert said == _linked(snapshot, snapshot / name, snapshot / name, snapshot / name)
    subprocess.run(["cp", "-rL", snapshot, tmp_path / "copy"], check=True)
    manifest, _ = read_manifest(tmp_path / "copy")
    assert name in manifest.files


@pytest.mark.parametrize("part", ["weights", ""], ids=["a folder in it", "the folder itself"])
def test_folders_that_are_links(bundle: Path, tmp_path: Path, part: str) -> None:
    """A link to the whole bundle is one, a link out of the bundle is not."""
    target = (bundle / part).rename(tmp_path / "elsewhere")
    (bundle / part).symlink_to(target)
    if part:
        name = next(name for name in _manifest(bundle)["files"] if name.startswith(part))
        assert _fault(bundle) == _linked(bundle, bundle / name, bundle / part, target / Path(name).relative_to(part))
    else:
        assert read_manifest(bundle)[0].files


def _manifest(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / MANIFEST_NAME).read_bytes())
    return content


def test_a_file_outside_the_folder(bundle: Path) -> None:
    outside = bundle.parent / "outside"
    outside.write_bytes(b"")
    spec = FileSpec(sha256=hashlib.sha256(b"").hexdigest(), byte_count=0).as_dict()
    for name in ("../outside", str(outside), "weights/../../outside"):
        _edit(bundle, lambda manifest, name=name: manifest.update(files={**manifest["files"], name: spec}))  # type: ignore[misc]
        assert _fault(bundle) == f"{name} lies outside the bundle's folder; export the checkpoint again"
        _edit(bundle, lambda manifest, name=name: manifest["files"].pop(name))  # type: ignore[misc]
    (bundle / "link").symlink_to(outside)
    _edit(bundle, lambda manifest: manifest["files"].update(link=spec))
    assert _fault(bundle) == _linked(bundle, bundle / "link", bundle / "link", outside)


@pytest.mark.parametrize(
    ("redirect", "name"),
    [
        (lambda manifest: manifest["graphs"][0].update(file="../other.onnx"), "../other.onnx"),
        (lambda manifest: manifest["graphs"][0].update(engines=[_PLAN]), "vae.sm_86.plan"),
        (lambda manifest: manifest["tokenizer"].update(file="other.json"), "other.json"),
        (lambda manifest: manifest["scorer"]["tokenizer"].update(file="other.json"), "other.json"),
        (lambda manifest: manifest["scorer"].update(contrast_file="other.npy"), "other.npy"),
    ],
    ids=["graph", "plan", "tokenizer", "tokenizer of the scorer", "contrast"],
)
def test_a_file_without_a_digest(bundle: Path, redirect: Callable[[dict[str, Any]], None], name: str) -> None:
    _edit(bundle, redirect)
    assert _fault(bundle) == f"{bundle / MANIFEST_NAME} names {name} but not its digest; export the checkpoint again"


@pytest.mark.parametrize("content", [b"", b"no graph at all"])
def test_a_graph_that_is_none(bundle: Path, content: bytes) -> None:
    _overwrite(bundle, _GRAPH, content)
    message = _fault(bundle)
    assert message.startswith(f"cannot load {bundle / _GRAPH}: ")
    assert message.endswith("; export the checkpoint again")


@pytest.mark.parametrize("name", ["tokenizer.json", "scorer_tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_tokenizer_that_is_none(bundle: Path, name: str, content: bytes) -> None:
    _overwrite(bundle, name, content)
    message = _fault(bundle)
    assert message.startswith(f"{bundle / name} is not a tokenizer: ")
    assert message.endswith("; export the checkpoint again")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text"])
def test_contrast_embeddings_that_are_none(bundle: Path, content: bytes) -> None:
    _overwrite(bundle, "scorer_contrast.npy", content)
    message = _fault(bundle)
    assert message.startswith(f"cannot read {bundle / 'scorer_contrast.npy'}: ")
    assert message.endswith("; export it again")


def test_a_size_without_its_graphs(bundle: Path) -> None:
    def drop(manifest: dict[str, Any]) -> None:
        graphs = manifest["graphs"]
        manifest["graphs"] = [item for item in graphs if item["file"] != "vae_decoder_step_48x48.onnx"]

    _edit(bundle, drop)
    expected = "the bundle lists 48x48, 9 frames but holds no vae_decoder_step graph for it; export it again"
    assert _fault(bundle) == expected


def test_the_graph_of_a_stage_is_chosen_by_the_size(tiny_bundle: Path) -> None:
    manifest, _ = read_manifest(tiny_bundle)
    assert manifest.graph("vae_decoder_init", Geometry(64, 48, 9)).file == _GRAPH
    assert manifest.graph("vae_decoder_init", Geometry(48, 48, 9)).file == "vae_decoder_init_48x48.onnx"
    assert manifest.graph("vae_decoder_init", Geometry(48, 48, 81)).file == "vae_decoder_init_48x48.onnx"
    assert manifest.graph("text_encoder", Geometry(48, 48, 9)).file == "text_encoder.onnx"
    with pytest.raises(BundleInvalid, match="holds no transformer_high graph"):
        manifest.graph("transformer_high", Geometry(48, 48, 81))
