"""Encodes the prompts for each transformer, with the guidance scale that the transformer runs with."""

from __future__ import annotations

from collections.abc import Callable

from engine.api.events import Expert
from engine.api.job import Settings
from engine.bundle.graph_spec import GraphName
from engine.generate.denoising import ExpertRun
from engine.generate.prompt_encoder import PromptEncoder
from engine.generate.prompt_tensors import upload_prompts
from engine.runtime.base import Graph
from engine.runtime.execution import Execution


def expert_runs(
    prompt: str,
    settings: Settings,
    encoder: PromptEncoder,
    graph_of: Callable[[GraphName], Graph],
    execution: Execution,
) -> dict[Expert, ExpertRun]:
    """The transformers, each with its guidance scale and prompt embeddings.

    A transformer with a guidance scale above 1 also gets the negative prompt. Transformers share the tensors.
    """
    high, low = settings.guidance_scale, settings.guidance_scale_low_noise
    transformers: dict[Expert, tuple[GraphName, float]] = {Expert.SINGLE: ("transformer", high)}
    if low is not None:
        transformers = {Expert.HIGH_NOISE: ("transformer_high", high), Expert.LOW_NOISE: ("transformer_low", low)}
    is_guided = any(scale > 1.0 for _, scale in transformers.values())
    texts = [prompt, settings.negative_prompt] if is_guided else [prompt]
    encoded = [encoder.encode(text, execution) for text in texts]
    prompts = upload_prompts(encoded, encoder.row_count, execution.runtime)
    alone = (prompts[0].row(0),)
    return {
        expert: ExpertRun(graph_of(name), scale, prompts if scale > 1.0 else alone)
        for expert, (name, scale) in transformers.items()
    }
