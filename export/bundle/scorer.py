"""A SigLIP folder becomes the scorer of a bundle. Knows its configuration; ``export.tracing.scorer`` has its graphs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.bundle.scorer_spec import ContrastsSpec, LanguageContrastSpec, ScorerSpec, TokenizerSpec
from export.bundle.build_log import Journal
from export.bundle.component_weights import plan_stock
from export.bundle.contrast import ContrastWords, contrast_sentences, load_contrasts
from export.bundle.manifest_entries import graph_spec, save_tokenizer
from export.bundle.plan import ExportPlan
from export.errors import ExportError
from export.tracing.assemble import export_graph
from export.tracing.scorer import scorer_graphs
from export.tracing.verify import verify_against_torch
from export.weights.checkpoint import files_identity
from export.weights.parameters import ComponentWeights

if TYPE_CHECKING:
    from transformers import SiglipModel

_STAGES: tuple[GraphName, ...] = ("scorer_image", "scorer_text")
CONTRAST_NAME = "scorer_contrast.npy"
_BATCH_SIZE = 32  # sentences embedded at a time


@dataclass(frozen=True)
class ScorerExport:
    """What the manifest needs of a scorer."""

    spec: ScorerSpec
    graphs: tuple[GraphSpec, ...]
    weight_files: tuple[Path, ...]


def export_scorer(folder: Path, plan: ExportPlan, journal: Journal, report: Callable[[str], None]) -> ScorerExport:
    """Exports both graphs, the tokenizer and the embeddings of the contrast sentences."""
    inputs = {"scorer": files_identity(folder), "is_inside": folder.resolve().is_relative_to(plan.out.resolve())}
    answer = journal.step("scorer", inputs, lambda: _export(folder, plan.out, report))
    return ScorerExport(
        spec=ScorerSpec.model_validate(answer["spec"]),
        graphs=tuple(GraphSpec.model_validate(graph) for graph in answer["graphs"]),
        weight_files=tuple(plan.out / name for name in answer["weight_files"]),
    )


def _export(folder: Path, out: Path, report: Callable[[str], None]) -> tuple[dict[str, Any], list[Path]]:
    model, tokenizer, picture = _load(folder)
    planned = plan_stock(folder, "scorer", model, out)
    planned.write(report)
    stock = planned.open()
    weights = ComponentWeights(model, stock.stored)
    graphs = []
    for stage, traced in zip(_STAGES, scorer_graphs(model), strict=True):
        file = out / f"{stage}.onnx"
        export_graph(traced, weights, file)
        graphs.append(graph_spec(stage, None, file, "fp32", verify_against_torch(file, traced)))
        report(f"{file.name}: differs from torch by {graphs[-1].max_abs_error:.1e}")
    words = load_contrasts(folder)
    spec = _scorer_spec(model, tokenizer, picture, words)
    save_tokenizer(tokenizer, out / spec.tokenizer.file)
    _save_array(_embed(model, tokenizer, spec.tokenizer, contrast_sentences(words)), out / CONTRAST_NAME)
    answer = {
        "spec": spec.model_dump(mode="json"),
        "graphs": [graph.model_dump(mode="json") for graph in graphs],
        "weight_files": [file.relative_to(out).as_posix() for file in stock.files],
    }
    written = () if planned.encodings is None else stock.files
    return answer, [
        *(out / graph.file for graph in graphs),
        out / spec.tokenizer.file,
        out / CONTRAST_NAME,
        *written,
    ]


def _load(folder: Path) -> tuple[SiglipModel, Any, dict[str, Any]]:
    """Model, tokenizer and what is done to a picture. A scorer is small enough to be loaded."""
    from transformers import AutoTokenizer, SiglipModel

    try:
        model = SiglipModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        picture = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    except Exception as error:  # each library has its own errors for damaged files
        raise ExportError(f"cannot load the scorer {folder}: {error}; download it again") from error
    return model, tokenizer, picture


def _scorer_spec(
    model: SiglipModel, tokenizer: Any, picture: dict[str, Any], words: tuple[ContrastWords, ...]
) -> ScorerSpec:
    return ScorerSpec(
        tokenizer=TokenizerSpec(
            file="scorer_tokenizer.json",
            length=model.config.text_config.max_position_embeddings,
            pad_id=tokenizer.pad_token_id,
            pad_side=tokenizer.padding_side,
            lower_case=True,
        ),
        image_size_px=model.config.vision_config.image_size,
        resample=picture.get("resample", 3),
        mean=tuple(picture.get("image_mean", (0.5, 0.5, 0.5))),
        std=tuple(picture.get("image_std", (0.5, 0.5, 0.5))),
        logit_scale_log=float(model.logit_scale.detach()),
        logit_bias=float(model.logit_bias.detach()),
        contrast_file=CONTRAST_NAME,
        contrasts=ContrastsSpec(file=CONTRAST_NAME, languages=tuple(_language_specs(words))),
    )


def _language_specs(contrasts: tuple[ContrastWords, ...]) -> Iterator[LanguageContrastSpec]:
    """Where each language's rows are, in the order of ``contrast_sentences``."""
    start = 0
    for words in contrasts:
        middle = start + len(words.subjects)
        end = middle + len(words.scenes)
        yield LanguageContrastSpec.model_validate(
            {
                "language": words.language,
                "subjects": (start, middle),
                "scenes": (middle, end),
                "subject_template": words.subject_template,
                "scene_template": words.scene_template,
                "joint": words.joint,
                "actions": words.actions,
            }
        )
        start = end


def _save_array(array: np.ndarray[Any, np.dtype[np.float32]], file: Path) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.save(stream, array)
    partial.replace(file)


def _embed(
    model: SiglipModel, tokenizer: Any, text: TokenizerSpec, sentences: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Unit embeddings, [sentences, size]."""
    tokenizer.padding_side = text.pad_side
    batch = tokenizer(
        [sentence.lower() for sentence in sentences],
        padding="max_length",
        max_length=text.length,
        truncation=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        embeds = [model.text_model(input_ids=ids).pooler_output for ids in batch["input_ids"].split(_BATCH_SIZE)]
    unit: np.ndarray[Any, np.dtype[np.float32]] = torch.nn.functional.normalize(torch.cat(embeds), dim=-1).numpy()
    return unit
