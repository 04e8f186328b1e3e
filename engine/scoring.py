"""How well a picture and a sentence match. Knows the scorer's two graphs and the contrast sentences.

The raw logit of a SigLIP model says little about one pair alone. So it is held against what the same picture gives
for sentences about everything else: contrast = z - ln(mean of e^z over those), z = exp(scale) · cosine + bias.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.bundle import ScorerSpec
from engine.errors import BundleInvalid
from engine.execution import Execution
from engine.match import report_of
from engine.runtime.base import Graph
from engine.text import TextTokenizer
from engine.types import MatchReport, Pixels


class Scorer:
    """Scores pictures against sentences. Safe to call from several threads."""

    def __init__(self, folder: Path, spec: ScorerSpec, image_graph: Graph, text_graph: Graph) -> None:
        self._spec = spec
        self._image_graph, self._text_graph = image_graph, text_graph
        self._tokenizer = TextTokenizer(folder, spec.tokenizer)
        try:
            self._contrast: NDArray[np.float32] = np.load(folder / spec.contrast_file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BundleInvalid(f"cannot read {folder / spec.contrast_file}: {error}; export it again") from error

    def score(self, execution: Execution, picture: Pillow.Image | Pixels, prompt: str) -> MatchReport:
        """Scores an RGB picture of any size: two graph calls."""
        pixels = self._squash(picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture))
        image = execution.call(self._image_graph, {"pixel_values": pixels})["image_embeds"][0]  # [size], unit length
        input_ids, _ = self._tokenizer.encode(prompt)
        text = execution.call(self._text_graph, {"input_ids": input_ids})["text_embeds"][0]
        similarity = float(image @ text)
        spec = self._spec
        logits = np.exp(spec.logit_scale_log) * (self._contrast @ image).astype(np.float64)
        highest = logits.max()
        level = highest + np.log(np.mean(np.exp(logits - highest)))  # the bias cancels against the sentence's own
        contrast = float(np.exp(spec.logit_scale_log) * similarity - level)
        return report_of(similarity, contrast, spec.slope, spec.offset, spec.is_calibrated)

    def _squash(self, picture: Pillow.Image) -> NDArray[np.float32]:
        """[1, 3, side, side]: squashed to a square, as the scorer was trained, and normalised."""
        side = self._spec.image_size_px
        resized = picture.resize((side, side), Pillow.Resampling(self._spec.resample))
        values = np.asarray(resized, np.float32) / 255.0
        normalised = (values - np.array(self._spec.mean, np.float32)) / np.array(self._spec.std, np.float32)
        return normalised.transpose(2, 0, 1)[None].astype(np.float32)
