"""Encodes the texts of a job, and gives each transformer its prompts and guidance scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from engine.api.events import Expert
from engine.api.job import Settings
from engine.bundle.graph_spec import GraphName
from engine.generate.denoising import ExpertRun
from engine.generate.prompt_encoder import PromptEncoder
from engine.generate.prompt_tensors import upload_prompts
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution


class JobTexts:
    """The texts of all clips of a job. They are encoded together, so that the text encoder is needed once."""

    def __init__(self, encoder: PromptEncoder, clips: Iterable[tuple[str, Settings]]) -> None:
        """``clips``: prompt and settings of each clip that the job makes."""
        self._encoder = encoder
        self._texts = tuple(dict.fromkeys(chain.from_iterable(_texts_of(*clip) for clip in clips)))
        self._embeds: Mapping[str, Array] | None = None

    @property
    def are_encoded(self) -> bool:
        """True once ``encode`` is done."""
        return self._embeds is not None

    def encode(self, execution: Execution) -> None:
        """Encodes each text once. Raises ``NonFiniteOutput`` and ``Cancelled``."""
        self._embeds = {text: self._encoder.encode(text, execution) for text in self._texts}

    def expert_runs(
        self, prompt: str, settings: Settings, graph_of: Callable[[GraphName], Graph], execution: Execution
    ) -> dict[Expert, ExpertRun]:
        """The transformers of a clip, each with its guidance scale and prompt embeddings.

        A transformer with a guidance scale above 1 also gets the negative prompt. Transformers share the tensors.
        """
        assert self._embeds is not None
        encoded = [self._embeds[text] for text in _texts_of(prompt, settings)]
        prompts = upload_prompts(encoded, self._encoder.row_count, execution.runtime)
        alone = (prompts[0].row(0),)
        return {
            expert: ExpertRun(graph_of(name), scale, prompts if scale > 1.0 else alone)
            for expert, (name, scale) in _transformers(settings).items()
        }


def _transformers(settings: Settings) -> dict[Expert, tuple[GraphName, float]]:
    """Graph and guidance scale of each transformer."""
    high, low = settings.guidance_scale, settings.guidance_scale_low_noise
    if low is None:
        return {Expert.SINGLE: ("transformer", high)}
    return {Expert.HIGH_NOISE: ("transformer_high", high), Expert.LOW_NOISE: ("transformer_low", low)}


def _texts_of(prompt: str, settings: Settings) -> Iterator[str]:
    """The prompt, and the negative prompt if any transformer is guided."""
    yield prompt
    if any(scale > 1.0 for _, scale in _transformers(settings).values()):
        yield settings.negative_prompt
