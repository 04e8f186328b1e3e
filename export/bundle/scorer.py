"""Exports a SigLIP folder as the scorer of a bundle: weights, graphs, tokenizer, contrast embeddings.

A scorer is small, so it is loaded with weights and traced in one step of the build log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.bundle.scorer_spec import ContrastsSpec, LanguageContrastSpec, ScorerSpec, TokenizerSpec
from export.atomic_file import replacing
from export.bundle.component_weights import plan_weights
from export.bundle.contrast import ContrastWords, contrast_sentences
from export.bundle.manifest_entries import graph_spec, save_tokenizer
from export.bundle.run import ExportRun, WrittenGraphs
from export.bundle.scorer_check import PicturePreparation, load_picture_preparation, load_scorer_tokenizer
from export.errors import ExportError
from export.tracing.assemble import export_graph
from export.tracing.scorer import scorer_graphs
from export.tracing.verify import verify_against_torch
from export.weights.checkpoint import files_identity
from export.weights.parameters import ParameterIndex
from export.weights.shards import Shards

if TYPE_CHECKING:
    from transformers import SiglipModel

_GRAPHS: tuple[GraphName, ...] = ("scorer_image", "scorer_text")
CONTRAST_NAME = "scorer_contrast.npy"
_BATCH_SIZE = 32  # sentences embedded at a time


@dataclass(frozen=True)
class ScorerExport:
    """The entry of a scorer for the manifest, and its graphs."""

    spec: ScorerSpec
    written: WrittenGraphs


def export_scorer(run: ExportRun, folder: Path, contrasts: tuple[ContrastWords, ...]) -> ScorerExport:
    """Exports both graphs, the tokenizer and the embeddings of the contrast sentences. Raises ``ExportError``."""
    out = run.plan.out
    inputs = {"scorer": files_identity(folder), "is_inside": folder.resolve().is_relative_to(out.resolve())}
    answer = run.log.step("scorer", inputs, lambda: _export(folder, contrasts, out, run.report))
    return ScorerExport(
        spec=ScorerSpec.from_dict(answer["spec"]),
        written=WrittenGraphs(
            tuple(GraphSpec.from_dict(graph) for graph in answer["graphs"]),
            *(tuple(out / name for name in answer[key]) for key in ("weight_files", "files_in_place")),
        ),
    )


def _export(
    folder: Path, contrasts: tuple[ContrastWords, ...], out: Path, report: Callable[[str], None]
) -> tuple[dict[str, Any], list[Path]]:
    shards = Shards.open(folder)
    model, tokenizer, picture = _load(folder, shards)
    planned = plan_weights(shards, "scorer", model, out)
    planned.write(report)
    weights = planned.open()
    parameters = ParameterIndex(model, weights.stored)
    graphs = []
    for name, traced in zip(_GRAPHS, scorer_graphs(model), strict=True):
        file = out / f"{name}.onnx"
        export_graph(traced, parameters, file)
        graphs.append(graph_spec(name, None, file, "fp32", verify_against_torch(file, traced)))
        report(f"{file.name}: differs from torch by {graphs[-1].max_abs_error:.1e}")
    spec = _scorer_spec(model, tokenizer, picture, contrasts)
    save_tokenizer(tokenizer, out / spec.tokenizer.file)
    embeddings = _embed(model, tokenizer, spec.tokenizer, contrast_sentences(contrasts))
    with replacing(out / CONTRAST_NAME) as partial, partial.open("wb") as stream:
        np.save(stream, embeddings)
    names = [file.relative_to(out).as_posix() for file in weights.files]
    is_in_place = planned.encodings is None
    answer = {
        "spec": spec.as_dict(),
        "graphs": [graph.as_dict() for graph in graphs],
        "weight_files": [] if is_in_place else names,
        "files_in_place": names if is_in_place else [],
    }
    written = () if is_in_place else weights.files
    return answer, [*(out / graph.file for graph in graphs), out / spec.tokenizer.file, out / CONTRAST_NAME, *written]


def _load(folder: Path, shards: Shards) -> tuple[SiglipModel, Any, PicturePreparation]:
    """Loads the model, the tokenizer and the preparation of pictures, by the same code as the check of the scorer."""
    from transformers import SiglipConfig, SiglipModel

    try:
        configuration = SiglipConfig.from_pretrained(folder, local_files_only=True)
        weights = {name: shards.read(name) for name in shards.names()}
        model = SiglipModel.from_pretrained(None, config=configuration, state_dict=weights, dtype=torch.float32).eval()
    except ExportError:
        raise
    except Exception as error:  # the library has many errors for damaged files
        raise ExportError(f"cannot load the scorer {folder}: {error}; download it again") from error
    return model, load_scorer_tokenizer(folder), load_picture_preparation(folder)


def _scorer_spec(
    model: SiglipModel, tokenizer: Any, picture: PicturePreparation, words: tuple[ContrastWords, ...]
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
        resample=picture.resample,
        mean=picture.mean,
        std=picture.std,
        logit_scale_log=float(model.logit_scale.detach()),
        logit_bias=float(model.logit_bias.detach()),
        contrast_file=CONTRAST_NAME,
        contrasts=ContrastsSpec(file=CONTRAST_NAME, languages=tuple(_language_specs(words))),
    )


def _language_specs(contrasts: tuple[ContrastWords, ...]) -> Iterator[LanguageContrastSpec]:
    """The rows of each language in the contrast embeddings, in the order of ``contrast_sentences``."""
    start = 0
    for words in contrasts:
        middle = start + len(words.subjects)
        end = middle + len(words.scenes)
        yield LanguageContrastSpec.from_dict(
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


def _embed(
    model: SiglipModel, tokenizer: Any, text: TokenizerSpec, sentences: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Embeddings of sentences, [sentences, size] float32 of unit length."""
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
