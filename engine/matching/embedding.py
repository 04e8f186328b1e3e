"""Embeds pictures and sentences into unit vectors of the scorer's joint space.

Embeddings are cached by content: a picture by the SHA-256 of its pixels at the scorer's size, a sentence by its text.
Concurrent callers share graph calls (``batching``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.media import Pixels
from engine.bundle.graph_spec import GraphSpec
from engine.bundle.scorer_spec import MAX_PICTURE_COUNT, MAX_SENTENCE_COUNT, ScorerSpec
from engine.bundle.tokenizer import TextTokenizer
from engine.cache import BoundedCache
from engine.matching.batching import Batcher
from engine.runtime.base import Array, Graph, Runtime
from engine.runtime.finite import finite_host_copy

_PICTURE_ENTRY_COUNT = 128
_SENTENCE_ENTRY_COUNT = 8192

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PictureEmbedding:
    """``whole`` [size] and ``patches`` [patches, size], row by row from the top; all of unit length."""

    whole: Vectors
    patches: Vectors


class PictureEncoder:
    """Embeds pictures of any size."""

    def __init__(self, spec: ScorerSpec, graph: Graph, runtime: Runtime) -> None:
        self._spec = spec
        self._cache: BoundedCache[bytes, PictureEmbedding] = BoundedCache(_PICTURE_ENTRY_COUNT)
        self._batcher = Batcher(_GraphCall(graph, runtime), _row_limit(graph.spec, MAX_PICTURE_COUNT))

    def embed(self, picture: Pillow.Image | Pixels) -> PictureEmbedding:
        """Embeds an RGB picture. At most one graph call, none if the picture is cached."""
        return self.embed_all([picture])[0]

    def embed_all(self, pictures: Sequence[Pillow.Image | Pixels]) -> list[PictureEmbedding]:
        """Embeds several RGB pictures."""
        squashed = [self._squash(picture) for picture in pictures]  # [side, side, 3] each
        keys = [hashlib.sha256(pixels.data).digest() for pixels in squashed]
        found = self._cache.find(keys)
        missing = {key: pixels for key, pixels in zip(keys, squashed, strict=True) if key not in found}
        if missing:
            wholes, patches = self._batcher.run(self._normalised(np.stack(list(missing.values()))))
            new = {key: PictureEmbedding(wholes[row], patches[row]) for row, key in enumerate(missing)}
            self._cache.keep(new)
            found |= new
        return [found[key] for key in keys]

    def _squash(self, picture: Pillow.Image | Pixels) -> Pixels:
        """Resizes to the scorer's square, as in the scorer's training; a picture of that size stays unchanged."""
        image = picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture)
        side = self._spec.image_size_px
        if image.size != (side, side):
            image = image.resize((side, side), Pillow.Resampling(self._spec.resample))
        return np.ascontiguousarray(image, np.uint8)

    def _normalised(self, pixels: Pixels) -> Vectors:
        """Converts [B, side, side, 3] to [B, 3, side, side] float32."""
        values = pixels.astype(np.float32) / 255.0
        normalised = (values - np.array(self._spec.mean, np.float32)) / np.array(self._spec.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32)


class SentenceEncoder:
    """Embeds sentences."""

    def __init__(self, folder: Path, spec: ScorerSpec, graph: Graph, runtime: Runtime) -> None:
        self._tokenizer = TextTokenizer(folder, spec.tokenizer)
        self._lower_case = spec.tokenizer.lower_case
        self._cache: BoundedCache[str, Vectors] = BoundedCache(_SENTENCE_ENTRY_COUNT)
        self._batcher = Batcher(_GraphCall(graph, runtime), _row_limit(graph.spec, MAX_SENTENCE_COUNT))

    def embed(self, sentences: Sequence[str]) -> dict[str, Vectors]:
        """Unit vectors [size] by sentence. Sentences that are not cached go into as few graph calls as hold them."""
        read = {sentence: sentence.lower() if self._lower_case else sentence for sentence in sentences}
        wanted = list(dict.fromkeys(read.values()))
        found = self._cache.find(wanted)
        missing = [sentence for sentence in wanted if sentence not in found]
        if missing:
            input_ids = np.concatenate([self._tokenizer.encode(sentence)[0] for sentence in missing])
            (vectors,) = self._batcher.run(input_ids)
            new = dict(zip(missing, vectors, strict=True))
            self._cache.keep(new)
            found |= new
        return {sentence: found[key] for sentence, key in read.items()}


class _GraphCall:
    """A graph of one input whose first axis is open; it is 1 in bundles of early exports.

    A call raises ``NonFiniteOutput``.
    """

    def __init__(self, graph: Graph, runtime: Runtime) -> None:
        self._graph, self._runtime = graph, runtime

    def __call__(self, rows: Array) -> tuple[Array, ...]:
        spec = self._graph.spec
        outputs = {
            item.name: self._runtime.zeros((len(rows), *(int(axis) for axis in item.shape[1:])), item.dtype)
            for item in spec.outputs
        }
        self._graph.run({spec.inputs[0].name: self._runtime.upload(rows)}, outputs)
        return tuple(finite_host_copy(tensor, spec) for tensor in outputs.values())


def _row_limit(spec: GraphSpec, most: int) -> int:
    return most if isinstance(spec.inputs[0].shape[0], str) else 1
