"""Files that are not what their names say, wherever the export opens one, and folders of the hub's cache."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from export.weights.files.recognition import OTHER_FORMATS
from tests.checkpoint_layouts import write_comfyui, write_official
from tests.damaged_checkpoints import (
    PAGE,
    POINTER,
    SCORER,
    SECOND,
    TEXT_ENCODER,
    TRANSFORMER,
    VAE,
    Change,
    all_of,
    in_place_of,
    many_tensors,
    saved_by_torch,
    torch_archive,
    with_content,
    with_json,
)
from tests.test_checkpoint_refusals import accepted, checkpoint, refused, whole

__all__ = ["checkpoint", "whole"]

_WEIGHTS = (TRANSFORMER, SECOND, VAE, TEXT_ENCODER, SCORER)
_OTHERS = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    *(f"{component}/config.json" for component in ("transformer", "transformer_2", "vae", "text_encoder", "scorer")),
    *(f"{folder}/{name}" for folder in ("tokenizer", "scorer") for name in ("tokenizer.json", "tokenizer_config.json")),
    "scorer/preprocessor_config.json",
    "scorer/contrast.json",
    "transformer/diffusion_pytorch_model.safetensors.index.json",
)
_AGAIN = "download the file again"
_LFS = f"is a git-lfs pointer for a file of 9.82 GB, not the file itself; run `git lfs pull`, or {_AGAIN}"
_PAGE = f": the download asked for a login or met an error; {_AGAIN} with `hf download`"


@pytest.mark.parametrize("name", [*_WEIGHTS, *_OTHERS])
def test_pointers_pages_and_empty_files_are_told_at_every_place(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = checkpoint / name
    what = "weights" if name in _WEIGHTS else "the file itself"
    for content, words in (
        (POINTER, _LFS),
        (PAGE, f"is a web page, not {what}{_PAGE}"),
        (b"", f"is empty; {_AGAIN}"),
        (b"# xet version 0\n", "is a pointer to a file, not the file itself; run `git xet checkout`, or " + _AGAIN),
    ):
        file.write_bytes(content)
        assert refused(checkpoint, capsys, ways=["--dry-run"]) == f"{file} {words}"


@pytest.mark.parametrize("name", ["models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth", "low_noise_model/config.json"])
def test_pointers_in_the_official_layout(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    official = write_official(checkpoint, tmp_path / "official")
    (official / name).write_bytes(POINTER)
    assert refused(official, capsys) == f"{official / name} {_LFS}"


@pytest.mark.parametrize("name", ["spiece.model", "tokenizer.json"])
@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_a_tokenizer_that_is_a_pointer_or_another_file(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, *, is_folder: bool
) -> None:
    own = "give the folder google/umt5-xxl of the official checkpoint, or its spiece.model or tokenizer.json"
    file = tmp_path / name
    option = ["--tokenizer", str(tmp_path if is_folder else file)]
    file.write_bytes(POINTER)
    assert refused(checkpoint, capsys, *option) == f"{file} {_LFS}"
    file.write_bytes(b"\x0a\x03abc" * 30)
    said = refused(checkpoint, capsys, *option)
    assert said.endswith(f"; {own}")
    assert str(file if not is_folder or name == "spiece.model" else tmp_path) in said


def test_code_of_a_tokenizer_is_not_run(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentinel = checkpoint.parent / "ran"
    for folder in ("tokenizer", "scorer"):
        (checkpoint / folder / "own.py").write_text(f"open({str(sentinel)!r}, 'w')\nclass Own: pass\n")
    with_json("tokenizer/tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})(checkpoint)
    said = refused(checkpoint, capsys)
    assert said.startswith(
        f"{checkpoint / 'tokenizer' / 'tokenizer_config.json'} names code of its own (auto_map), which the exporter "
        "does not run; give "
    )
    assert not sentinel.exists()


def _head(offset: int, magic: bytes) -> bytes:
    return b"\x01" * offset + magic + bytes(range(1, 32)) * 20


@pytest.mark.parametrize(("offset", "magic", "what", "remedy"), OTHER_FORMATS, ids=lambda value: str(value)[:30])
def test_other_formats_are_named(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], offset: int, magic: bytes, what: str, remedy: str
) -> None:
    with_content(TRANSFORMER, _head(offset, magic))(checkpoint)
    assert refused(checkpoint, capsys, ways=["--dry-run"]) == f"{checkpoint / TRANSFORMER} is {what}; {remedy}"


_ENDINGS = ".safetensors, .pth, .pt, .bin, .ckpt, .gguf"
_ALONE = "transformer/model.pth"
_NOTHING = f"{{}}/transformer holds no file of weights ({_ENDINGS})"
_UNPACK = "unpack the archive, or give the file of weights"
_WANTED = "give an expert of Wan2.2-I2V-A14B or the transformer of Wan2.2-TI2V-5B"
_OLD = (
    f"{{}}/{_ALONE} is in the format of torch before 1.6, or another pickle, which cannot be mapped; load the file "
    "with torch.load(weights_only=True) and save its tensors as safetensors"
)
_CODE = "which only running code of the file would read; save its state dict as safetensors, or take another file"


def _deflated() -> bytes:
    return torch_archive({"a/data.pkl": pickle.dumps({}), "a/data/0": bytes(1000)}, zipfile.ZIP_DEFLATED)


def _link(target: str) -> Change:
    def change(folder: Path) -> None:
        (folder / TRANSFORMER).unlink()
        (folder / TRANSFORMER).symlink_to(target)

    return change


def _folder_for_file(folder: Path) -> None:
    (folder / TRANSFORMER).unlink()
    (folder / TRANSFORMER).mkdir()


def _file_for_folder(folder: Path) -> None:
    shutil.rmtree(folder / "vae")
    (folder / "vae").write_bytes(b"\x01\x02\x03\x04" * 9)


OTHER_FILES: dict[str, tuple[Change, str]] = {
    "text": (
        with_content(TRANSFORMER, b"Access denied.\nPlease log in.\n"),
        f'{{}}/{TRANSFORMER} is a text file that begins with "Access denied.", not weights; give the file of weights',
    ),
    "JSON": (
        with_content(TRANSFORMER, b'{"error": "none"}'),
        f'{{}}/{TRANSFORMER} is a text file that begins with "{{{{\\"error\\": \\"none\\"}}}}", not weights; give the '
        "file of weights",
    ),
    "msgpack": (
        with_content(TRANSFORMER, b"\x81\xa6params\x80" + bytes(20)),
        f"{{}}/{TRANSFORMER} is of no known format: it has neither a safetensors header nor another known beginning; "
        + _AGAIN,
    ),
    "flax_model.msgpack": (
        in_place_of(TRANSFORMER, "transformer/flax_model.msgpack", b"\x81\xa6params\x80"),
        f"{_NOTHING}: there are config.json, flax_model.msgpack; download the component again",
    ),
    "interrupted download": (
        in_place_of(TRANSFORMER, f"{TRANSFORMER}.aria2", b"\x01"),
        f"{_NOTHING}: the download of diffusion_pytorch_model.safetensors.aria2 was interrupted; download the "
        "component again",
    ),
    "ZIP archive": (
        with_content(TRANSFORMER, torch_archive({"readme.txt": b"hello", "b.safetensors": bytes(9)})),
        f"{{}}/{TRANSFORMER} is an archive that torch.save did not write (it holds readme.txt, b.safetensors); "
        + _UNPACK,
    ),
    "compressed archive": (
        in_place_of(TRANSFORMER, _ALONE, _deflated()),
        f"{{}}/{_ALONE} is a compressed archive; unpack the archive, or give safetensors",
    ),
    "archive that is cut short": (
        in_place_of(TRANSFORMER, _ALONE, saved_by_torch({"x": torch.ones(999)})[:-40]),
        f"{{}}/{_ALONE} is cut short: the end of its archive is missing; {_AGAIN}",
    ),
    "old format of torch": (in_place_of(TRANSFORMER, _ALONE, saved_by_torch({"x": torch.ones(2)}, is_old=True)), _OLD),
    "pickle": (in_place_of(TRANSFORMER, _ALONE, pickle.dumps({"a": 1})), _OLD),
    "module": (
        in_place_of(TRANSFORMER, _ALONE, saved_by_torch(torch.nn.Linear(2, 2))),
        f"{{}}/{_ALONE} holds torch.nn.modules.linear.Linear besides tensors, {_CODE}",
    ),
    "no tensors": (
        in_place_of(TRANSFORMER, _ALONE, saved_by_torch({"step": 7})),
        f"{{}}/{_ALONE} holds no tensors by name; give a file of a state dict",
    ),
    "another model in .pth": (
        in_place_of(TRANSFORMER, _ALONE, saved_by_torch({"model.layers.0.self_attn.q_proj.weight": torch.ones(2, 2)})),
        f"{{}}/transformer is a language model; {_WANTED}",
    ),
    "another model in .gguf": (
        in_place_of(TRANSFORMER, "transformer/model.gguf", b"GGUF\x03\0\0\0" + bytes(64)),
        f"{{}}/transformer is no Wan transformer: it has no blocks.0.self_attn and no blocks.0.attn1; {_WANTED}",
    ),
    "link to nothing": (
        _link("../../blobs/0123"),
        f"{{}}/{TRANSFORMER} is a link to ../../blobs/0123, which is missing; {_AGAIN}",
    ),
    "folder for a file": (_folder_for_file, f"{{}}/{TRANSFORMER} is a folder; give a file of weights"),
    "file for a folder": (
        _file_for_folder,
        f"{{}}/vae is of no known format: it has neither a safetensors header nor another known beginning; {_AGAIN}",
    ),
}


@pytest.mark.parametrize("case", OTHER_FILES)
def test_files_that_hold_no_weights(checkpoint: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    change, sentence = OTHER_FILES[case]
    change(checkpoint)
    assert refused(checkpoint, capsys) == sentence.format(checkpoint)


@pytest.mark.parametrize("name", ["transformer/config.json", "scheduler/scheduler_config.json", "vae/config.json"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'{"a": "' + b"x" * 3_000_000 + b'"}', "has 3000009 bytes, too many for a configuration"),
        (b"[" * 100_000, "is not JSON"),
    ],
    ids=["cut", "list", "long", "deep"],
)
def test_configurations_that_are_none(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, words: str
) -> None:
    with_content(name, content)(checkpoint)
    remedy = "download the scheduler again" if "scheduler" in name else "download the component again"
    assert refused(checkpoint, capsys, ways=["--dry-run"]) == f"{checkpoint / name} {words}; {remedy}"


@pytest.mark.parametrize(
    ("component", "key", "value", "words"),
    [
        ("transformer", "num_layers", 10**9, "num_layers 1000000000 is beyond 200"),
        ("transformer", "num_attention_heads", "2", "num_attention_heads '2' is no whole number"),
        ("transformer", "attention_head_dim", 200_000, "attention_head_dim 200000 is beyond 1024"),
        ("transformer", "ffn_dim", -5, "ffn_dim -5 is beyond 200000"),
        ("vae", "dim_mult", [1] * 65, "dim_mult has 65 items"),
        ("text_encoder", "d_model", 2.5, "d_model 2.5 is no whole number"),
    ],
)
def test_sizes_of_no_model(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], component: str, key: str, value: object, words: str
) -> None:
    with_json(f"{component}/config.json", **{key: value})(checkpoint)
    file = checkpoint / component / "config.json"
    assert refused(checkpoint, capsys, ways=["--dry-run"]) == f"{file}: {words}; download the component again"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"resample": "bicubic"}, "resample 'bicubic', which is no filter of Pillow"),
        ({"resample": 6}, "resample 6, which is no filter of Pillow"),
        ({"image_mean": [0.5]}, "image_mean [0.5] instead of 3 numbers"),
        ({"image_mean": "x"}, "image_mean 'x' instead of 3 numbers"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std [0.5, 0, 0.5] instead of 3 numbers"),
        ({"image_std": [0.5, float("nan"), 0.5]}, "image_std [0.5, nan, 0.5] instead of 3 numbers"),
    ],
)
def test_the_preparation_of_a_scorers_pictures(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], values: dict[str, object], words: str
) -> None:
    with_json("scorer/preprocessor_config.json", **values)(checkpoint)
    file = checkpoint / "scorer" / "preprocessor_config.json"
    assert refused(checkpoint, capsys) == f"{file} has {words}; download the scorer again"


def _cached(checkpoint: Path, tmp_path: Path, layout: str) -> Path:
    snapshot = tmp_path / "hub" / "models--Wan-AI--Wan2.2-I2V-A14B-Diffusers" / "snapshots" / "596658fd"
    snapshot.parent.mkdir(parents=True)
    if layout == "official":
        return write_official(checkpoint, snapshot)
    return checkpoint.rename(snapshot)


@pytest.mark.parametrize("layout", ["diffusers", "official"])
def test_a_snapshot_in_the_cache_of_the_hub_has_the_name_of_its_model(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    snapshot = _cached(checkpoint, tmp_path, layout)
    assert accepted(snapshot, capsys).splitlines()[0] == "Wan2.2-I2V-A14B-Diffusers: wan22-i2v-a14b"
    monkeypatch.chdir(snapshot)
    assert accepted(Path(), capsys).splitlines()[0] == "Wan2.2-I2V-A14B-Diffusers: wan22-i2v-a14b"
    for folder, words in (
        (snapshot.parent.parent, "is a folder of the hub's cache; give its snapshot"),
        (snapshot.parent, "is one folder too high; give"),
        (snapshot.parent.parent.parent, "is the cache of the hub; give"),
    ):
        assert refused(folder, capsys) == f"{folder} {words} {snapshot}"


def test_the_current_one_of_several_snapshots(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = _cached(checkpoint, tmp_path, "diffusers")
    for name in ("0000", "ffff"):
        shutil.copytree(snapshot, snapshot.parent / name)
    model = snapshot.parent.parent
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("596658fd\n")
    assert refused(model, capsys).endswith(f"; give its snapshot {snapshot}")
    (model / "refs" / "main").write_text("../../..")
    assert "; give its snapshot " in refused(model, capsys)


def test_single_files_and_official_names_inside_a_diffusers_folder(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_comfyui(checkpoint, tmp_path / "models", prefix="model.diffusion_model.")
    for place, name in (("transformer", "high"), ("transformer_2", "low")):
        (file,) = (checkpoint / place).glob("*.safetensors")
        file.unlink()
        shutil.copy(models / "diffusion_models" / f"wan2.2_i2v_{name}_noise_14B_fp16.safetensors", checkpoint / place)
    plan = accepted(checkpoint, capsys)
    for place in ("transformer", "transformer_2"):
        assert f"{checkpoint / place}: official names below 'model.diffusion_model', F32" in plan


def test_an_index_of_shards_that_leads_out_of_its_folder(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = checkpoint / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    names = dict.fromkeys(load_file(checkpoint / TRANSFORMER), "../transformer_2/diffusion_pytorch_model.safetensors")
    index.write_text(json.dumps({"weight_map": names}))
    assert refused(checkpoint, capsys) == (
        f"{index} is not a shard index: it names no files of its own folder; download the component again"
    )
    all_of(with_content(index.relative_to(checkpoint).as_posix(), b'{"weight_map": {"a": 1}}'))(checkpoint)
    assert refused(checkpoint, capsys) == f"{index} is not a shard index; download the component again"


_PAGE_ROWS: dict[str, tuple[Change, str]] = {
    "git-lfs pointer": (with_content(TRANSFORMER, POINTER), TRANSFORMER),
    "web page": (with_content(TRANSFORMER, PAGE), TRANSFORMER),
    "empty file": (with_content(TRANSFORMER, b""), TRANSFORMER),
    "text": (OTHER_FILES["text"][0], TRANSFORMER),
    "link to nothing": (OTHER_FILES["link to nothing"][0], TRANSFORMER),
    "unfinished download": (OTHER_FILES["interrupted download"][0], "diffusion_pytorch_model.safetensors.aria2"),
    "pickle with more than tensors": (OTHER_FILES["module"][0], _ALONE),
    "more than 65,536 tensors": (with_content(TRANSFORMER, many_tensors(65_537)), TRANSFORMER),
}


def _rows_of_the_page() -> dict[str, str]:
    page = (Path(__file__).parent.parent / "docs" / "inputs.md").read_text(encoding="utf-8")
    table = page.partition("| file | sentence |\n|---|---|\n")[2].partition("\n\n")[0]
    return {row.split("|")[1].strip(): row.split("|")[2].strip() for row in table.splitlines()}


def test_the_page_names_every_kind_of_file() -> None:
    assert set(_rows_of_the_page()) == set(_PAGE_ROWS)


@pytest.mark.parametrize("row", _PAGE_ROWS)
def test_the_page_says_what_the_export_says(checkpoint: Path, capsys: pytest.CaptureFixture[str], row: str) -> None:
    change, name = _PAGE_ROWS[row]
    change(checkpoint)
    shown = str(checkpoint / name) if "/" in name else name
    parts = re.split("FILE|TARGET|MODULE\\.NAME|…", _rows_of_the_page()[row])
    said = refused(checkpoint, capsys, ways=["--dry-run"])
    assert re.search(".*".join(map(re.escape, parts)), said), said
    assert shown in said
