"""Time and memory of exporting graphs of the official models at full size, compared with ``torch.onnx.export``.

    python -m benchmarks.export_scale --json FILE [--only a14b_expert] [--straight-layers 1,2,4]

Each subject is exported in a fresh process: built from its configuration without weights, compared with the headers of
a sparse shard of the true size, traced, bound to that shard and written. Seconds are those of the whole process,
imports included; ``*_cpu_seconds`` is its CPU time (the two differ on a busy machine); ``*_peak_bytes`` is its peak
resident memory and ``*_graph_bytes`` the size of the largest graph file.

The straight route is ``torch.onnx.export`` (dynamo) of Diffusers' own A14B expert with weights in memory. It is tried
with increasing numbers of layers, at full width and full size, until a process takes more memory than the machine has
or longer than ``--patience``; ``straight_*`` are the figures of the largest success, ``straight_failed_layers`` is the
first failure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.report import Report
from engine.runtime.process_memory import peak_resident_bytes

_TARGETS = {"a14b_expert_seconds": 90.0, "a14b_expert_peak_bytes": 1.5e9, "a14b_expert_graph_bytes": 50e6}
_LATENT_A14B = (21, 60, 104)  # 832x480, 81 frames
_LATENT_5B = (31, 44, 80)  # 1280x704, 121 frames
_POLL_SECONDS = 0.2


def main() -> None:
    """Measures all subjects, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export_scale")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--only", choices=_SUBJECTS, action="append", help="these subjects (default: all)")
    parser.add_argument("--straight-layers", default="1,2,4,8", help="layer counts to try on the straight route")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds after which a process is stopped")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for subject in options.only or _SUBJECTS:
        found = _measure(subject, options.patience)
        if found is None:
            raise SystemExit(f"the export of {subject} failed or took longer than --patience")
        figures |= {f"{subject}_{name}": value for name, value in found.items()}
    for layer_count in filter(None, options.straight_layers.split(",")):
        found = _measure(f"straight:{layer_count}", options.patience)
        if found is None:
            figures["straight_failed_layers"] = int(layer_count)
            break
        figures |= {f"straight_{name}": value for name, value in {"layers": int(layer_count), **found}.items()}
    report = Report("export_scale", figures, _TARGETS)
    report.show()
    report.write(options.json)


def _measure(subject: str, patience_seconds: float) -> dict[str, float] | None:
    """Returns the figures of one process; None if it was stopped or ended without an answer."""
    started = time.perf_counter()
    limit = _available_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.export_scale", "--worker", subject, folder]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        peak = 0
        while process.poll() is None:
            peak = max(peak, peak_resident_bytes(process.pid))
            if peak > limit or time.perf_counter() - started > patience_seconds:
                process.kill()
            time.sleep(_POLL_SECONDS)
        answer = process.communicate()[0].strip().splitlines()
    if process.returncode != 0 or not answer:
        return None
    return {"seconds": time.perf_counter() - started, **json.loads(answer[-1])}


def _available_bytes() -> float:
    """Returns the bytes that a process may take: nine tenths of the free memory."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(available.split()[1]) * 1024 * 0.9


def _transformer(config_name: str, latent: tuple[int, int, int], expand_timesteps: bool, folder: Path) -> Path:
    from diffusers import WanTransformer3DModel

    from benchmarks import full_size
    from export.tracing.transformer import transformer_graph

    config = getattr(full_size, config_name)
    return _write(
        lambda: WanTransformer3DModel(**config),
        lambda model: [transformer_graph(model, latent, expand_timesteps)],
        folder,
    )


def _text_encoder(folder: Path) -> Path:
    from transformers import UMT5Config, UMT5EncoderModel

    from benchmarks.full_size import UMT5_XXL
    from export.tracing.text_encoder import text_encoder_graph

    def build() -> Any:
        model = UMT5EncoderModel(UMT5Config(**UMT5_XXL))
        model.encoder.embed_tokens = model.shared
        return model

    return _write(build, lambda model: [text_encoder_graph(model)], folder)


def _vae(config_name: str, height_px: int, width_px: int, is_5b: bool, folder: Path) -> Path:
    from diffusers import AutoencoderKLWan

    from benchmarks import full_size
    from export.tracing.vae import decoder_graphs, encoder_graphs, picture_encoder_graph

    config = getattr(full_size, config_name)

    def graphs(model: Any) -> list[Any]:
        decoder = decoder_graphs(model, height_px, width_px)
        if is_5b:
            return [picture_encoder_graph(model, height_px, width_px), decoder.init, decoder.step]
        encoder = encoder_graphs(model, height_px, width_px)
        return [encoder.init, encoder.step, decoder.init, decoder.step]

    return _write(lambda: AutoencoderKLWan(**config), graphs, folder)


def _write(build: Callable[[], Any], graphs: Callable[[Any], list[Any]], folder: Path) -> Path:
    """Writes graphs from a configuration and a sparse shard with the exporter's own steps; returns ``folder``."""
    from benchmarks.full_size import write_sparse_weights
    from export.bundle.component_weights import plan_weights
    from export.tracing.assemble import export_graph
    from export.weights.parameters import ParameterIndex, without_weights
    from export.weights.shards import Shards

    write_sparse_weights(without_weights(build), folder / "component" / "model.safetensors")
    model = without_weights(build)
    planned = plan_weights(Shards.open(folder / "component"), "component", model, folder)
    assert planned.encodings is None  # the shard is inside: graphs point at it, nothing is copied
    weights = ParameterIndex(model, planned.open().stored)
    for index, traced in enumerate(graphs(model)):
        export_graph(traced, weights, folder / f"graph_{index}.onnx")
    return folder


def _straight(layer_count: int, folder: Path) -> Path:
    """Exports Diffusers' expert, weights in memory, by ``torch.onnx.export`` as documented; returns ``folder``."""
    import torch
    from diffusers import WanTransformer3DModel

    from benchmarks.full_size import A14B_EXPERT
    from export.library_logging import quiet_libraries

    model = WanTransformer3DModel(**{**A14B_EXPERT, "num_layers": layer_count}).eval()
    frames, height, width = _LATENT_A14B
    inputs = (torch.zeros(2, 36, frames, height, width), torch.tensor([937.0, 937.0]), torch.zeros(2, 512, 4096))
    with quiet_libraries(), torch.no_grad():
        torch.onnx.export(model, inputs, folder / "graph_0.onnx", dynamo=True, opset_version=20, external_data=True)
    return folder


_SUBJECTS: dict[str, Callable[[Path], Path]] = {
    "a14b_expert": lambda folder: _transformer("A14B_EXPERT", _LATENT_A14B, False, folder),
    "ti2v_5b": lambda folder: _transformer("TI2V_5B", _LATENT_5B, True, folder),
    "umt5_xxl": _text_encoder,
    "vae_16": lambda folder: _vae("VAE_16_CHANNELS", 480, 832, False, folder),
    "vae_48": lambda folder: _vae("VAE_48_CHANNELS", 704, 1280, True, folder),
}


def work(subject: str, folder: Path) -> dict[str, float]:
    """Exports the graphs of one subject in this process and returns its figures."""
    kind, _, layer_count = subject.partition(":")
    written = _straight(int(layer_count), folder) if kind == "straight" else _SUBJECTS[kind](folder)
    graphs = [file.stat().st_size for file in written.glob("*.onnx")]
    return {
        "cpu_seconds": time.process_time(),
        "peak_bytes": peak_resident_bytes(),
        "graph_bytes": max(graphs),
        "graph_count": len(graphs),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
