"""Files given as adapters that are none: each is told by what it is, by the command, before any work."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from export.__main__ import main as export
from export.errors import ExportError
from export.weights.lora import Adapter
from tests.checkpoints import TinyModel, write_checkpoint

_SHAPES = {"proj_out.weight": (64, 24)}
_TENSORS = {
    "transformer.proj_out.lora_A.weight": torch.ones(4, 24),
    "transformer.proj_out.lora_B.weight": torch.ones(64, 4),
    "transformer.proj_out.alpha": torch.tensor(2.0),
}
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 613561776\n"
_PICKLE = r"is a PyTorch file \(pickle\); give the adapter as safetensors, which most of them are published in"


def _old_torch_format(file: Path) -> None:
    torch.save(_TENSORS, file, _use_new_zipfile_serialization=False)


_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "git-lfs pointer": (
        lambda file: file.write_text(_POINTER),
        r" is a git-lfs pointer for a file of 0\.61 GB, not the file itself; run `git lfs pull`, or download the file",
    ),
    "torch": (lambda file: torch.save(_TENSORS, file), ": " + _PICKLE),
    "old torch": (_old_torch_format, ": " + _PICKLE),
    "web page": (lambda file: file.write_text("<!DOCTYPE html>\n<html>Sign in</html>"), r" is a web page, not weights"),
    "error of an interface": (
        lambda file: file.write_text('{"error": "Unauthorized", "message": "The creator requires a login"}'),
        r" is a text file that begins with .*Unauthorized.*, not weights",
    ),
    "GGUF": (lambda file: file.write_bytes(b"GGUF\3\0\0\0" + bytes(64)), r": is a GGUF file, which holds no adapter;"),
    "gzip": (lambda file: file.write_bytes(b"\x1f\x8b\x08" + bytes(64)), r" is a gzip archive; unpack the archive"),
    "empty": (lambda file: file.write_bytes(b""), r" is empty; download the file again"),
    "cut short": (lambda file: file.write_bytes(save(_TENSORS)[:-40]), r": .*; give a LoRA in safetensors, downloaded"),
    "noise": (lambda file: file.write_bytes(b"\xfe" * 99), r": .*; give a LoRA in safetensors, downloaded whole"),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("files") / "checkpoint", TinyModel())


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("kind", _FILES)
def test_a_file_is_told_by_what_it_is(tmp_path: Path, kind: str, suffix: str) -> None:
    write, said = _FILES[kind]
    file = tmp_path / f"adapter.{suffix}"
    write(file)
    with pytest.raises(ExportError, match=rf"{file}{said}"):
        Adapter.open(file, _SHAPES)


def test_a_dry_run_opens_adapters(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, size = tmp_path / "high.safetensors", ["--size", "48x48", "--frames", "5", "--dry-run"]
    command = [str(checkpoint), "--out", str(tmp_path / "bundle"), *size, "--lora-high", str(file)]
    file.write_text(_POINTER)
    assert export(command) == 1
    assert f"export: {file} is a git-lfs pointer" in capsys.readouterr().err
    save_file({**_TENSORS, "transformer.proj_out.lora_B.weight": torch.full((64, 4), torch.nan)}, file)
    assert export(command) == 1
    assert "transformer.proj_out.lora_B.weight holds values that are not finite" in capsys.readouterr().err
    file.unlink()
    file.mkdir()
    assert export(command) == 1
    assert f"export: {file} is a folder; give a file of weights" in capsys.readouterr().err
    file.rmdir()
    file.symlink_to(tmp_path / "absent")
    assert export(command) == 1
    assert f"export: {file} is a link to {tmp_path / 'absent'}, which is missing" in capsys.readouterr().err


def test_the_option_for_image_keys_needs_adapters(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--size", "48x48", "--frames", "5", "--dry-run"]
    assert export([str(checkpoint), "--out", str(tmp_path / "bundle"), *size, "--lora-skip-image-keys"]) == 1
    assert "--lora-skip-image-keys: leaves out keys of adapters; give the adapters with" in capsys.readouterr().err


@pytest.mark.parametrize("header_bytes", [0x7B20, 0x5B20, 0x7B0A, 0x2058, 0x800])
def test_a_header_whose_length_looks_like_text_is_a_header(tmp_path: Path, header_bytes: int) -> None:
    """The length stands first, in little endian: 0x7B20 is a space and an opening brace."""
    file, content = tmp_path / "adapter.safetensors", save(_TENSORS)
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].ljust(header_bytes)
    file.write_bytes(header_bytes.to_bytes(8, "little") + header + content[8 + length :])
    assert Adapter.open(file, _SHAPES).parameters == ("proj_out.weight",)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("[1, 2]", r"its lora_adapter_metadata is no JSON object; download the file again"),
        ("{", r"cannot read adapter"),
        ("[" * 100_000, r"cannot read adapter"),
        ('{"transformer.use_dora": true}', r"its settings say DoRA and it holds no lora_magnitude_vector"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused(tmp_path: Path, settings: str, fault: str) -> None:
    file = tmp_path / "adapter.safetensors"
    save_file({name: _TENSORS[name] for name in list(_TENSORS)[:2]}, file, {"lora_adapter_metadata": settings})
    with pytest.raises(ExportError, match=fault):
        Adapter.open(file, _SHAPES)


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    """No byte of a file causes anything but a refusal or an adapter of finite values."""
    whole, file = save(_TENSORS), tmp_path / "adapter.safetensors"
    numbers = random.Random(5)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(numbers.choice((1, 2, 8))):
            content[numbers.randrange(len(content) if numbers.random() < 0.3 else 360)] = numbers.randrange(256)
        file.write_bytes(bytes(content[: numbers.choice((len(content), numbers.randrange(len(content))))]))
        try:
            adapter = Adapter.open(file, _SHAPES)
        except ExportError:
            refused += 1
        else:
            assert bool(torch.isfinite(adapter.added_to("proj_out.weight", torch.zeros(64, 24))).all())
    assert refused > 200


class TestFolderOfPeft:
    """PEFT writes alpha into ``adapter_config.json`` beside ``adapter_model.safetensors``."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "adapter_model.safetensors"
        save_file({name.replace("transformer.", "base_model.model."): item for name, item in _TENSORS.items()}, file)
        tensors = load_file(file)
        save_file({name: item for name, item in tensors.items() if "alpha" not in name}, file)
        return file

    def _added(self, file: Path) -> float:
        return float(Adapter.open(file, _SHAPES).added_to("proj_out.weight", torch.zeros(64, 24)).mean())

    def test_its_settings_scale_the_change(self, file: Path) -> None:
        assert self._added(file) == 4
        config = {"r": 4, "lora_alpha": 16, "peft_type": "LORA"}
        for change, scale in (({}, 4), ({"use_rslora": True}, 8), ({"alpha_pattern": {"proj_out": 2}}, 0.5)):
            file.with_name("adapter_config.json").write_text(json.dumps({**config, **change}))
            assert self._added(file) == 4 * scale

    def test_its_settings_are_part_of_the_digest(self, file: Path) -> None:
        digests = [Adapter.open(file, _SHAPES).digest]
        for alpha in (4, 8):
            file.with_name("adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": alpha}))
            digests.append(Adapter.open(file, _SHAPES).digest)
        assert len(set(digests)) == 3
        assert Adapter.open(file, _SHAPES).sha256 == digests[0]

    def test_a_file_of_another_name_has_its_own_settings_only(self, file: Path) -> None:
        file.with_name("adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 16}))
        assert self._added(file.rename(file.with_name("style.safetensors"))) == 4
