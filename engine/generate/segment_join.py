"""How a segment of a chain begins from the frames before it.

The transformer was trained with one given frame, so that the image conditioning of a segment is that of a clip: its
first given frame as the picture, grey after it, and the mask of frame 0. Several given frames are *put back*: after
each denoising step the latents of these frames are overwritten with their true value at the noise level of the next
step, as RePaint does with the known part of a picture (Lugmayr et al. 2022). The other latents are denoised beside them
and continue their motion. ADR 0038 compares other ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.api.media import Pixels
from engine.bundle.graph_spec import GraphName
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.image_conditioning import frames_as_latents
from engine.generate.picture_encoder import PictureEncoder
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution

AfterStep = Callable[[Array, float], Array]
"""Gets the latents after a step, [1, z, T, h, w], and sigma of the next step, 0 after the last; returns the latents to
go on with. The given array may be overwritten."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What a clip is denoised with beside its noise and its texts.

    ``conditioning``: see ``image_conditioning`` for shapes. ``after_step`` None: the latents stay as the solver leaves
    them, and on the device.
    """

    conditioning: Array
    after_step: AfterStep | None = None


class FrameEncoder:
    """Encodes frames of one segment with the VAE. Nothing is cached: no later clip has the same frames."""

    def __init__(self, pictures: PictureEncoder, graph_of: Callable[[GraphName], Graph], execution: Execution) -> None:
        self._pictures = pictures
        self._graph_of, self._execution = graph_of, execution

    def conditioning_of(self, picture: Pixels, latent_frame_count: int) -> Array:
        """The image conditioning of a clip that begins with this picture, as of a clip of its own."""
        return self._pictures.encode_anew(picture, latent_frame_count, self._graph_of, self._execution)

    def latents_of(self, frames: Sequence[Pixels]) -> Array:
        """Latents of 4n + 1 frames, [1, z, n + 1, h, w]. Bundles of TI2V-5B can encode one frame only."""
        return frames_as_latents(frames, self.stream())

    def stream(self) -> CausalVaeStream:
        """A pass of the encoder: a chunk of one frame, then chunks of four."""
        init, step = self._graph_of("vae_encoder_init"), self._graph_of("vae_encoder_step")
        return CausalVaeStream(self._execution, init, step)


class SegmentJoin(Protocol):
    """A way to begin a segment."""

    @property
    def given_frame_count(self) -> int:
        """Frames that a segment takes from the one before it, 4n + 1."""
        ...

    def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
        """The opening of a segment that begins with ``frames``, oldest first; ``noise`` is its own, [1, z, T, h, w].

        Raises ``NonFiniteOutput`` and ``Cancelled``.
        """
        ...


@dataclass(frozen=True, slots=True)
class PutBack:
    """Conditions on the first given frame, and puts the latents of all given frames back after each step.

    A single given frame is the picture of the segment: the conditioning holds it, and nothing is put back.
    """

    given_frame_count: int

    def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
        """See ``SegmentJoin.begin``."""
        conditioning = encoder.conditioning_of(frames[0], noise.shape[2])
        if len(frames) == 1:
            return Opening(conditioning)
        given = encoder.latents_of(frames)
        given_noise = noise[:, :, : given.shape[2]]

        def overwrite(latents: Array, sigma: float) -> Array:
            latents[:, :, : given.shape[2]] = (1.0 - sigma) * given + sigma * given_noise
            return latents

        return Opening(conditioning, overwrite)
