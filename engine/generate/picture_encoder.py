"""Encodes pictures into the image conditioning of the transformer, and caches the results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from engine.api.media import Pixels
from engine.bundle.graph_spec import GraphName
from engine.cache import BoundedCache
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.image_conditioning import picture_as_channels, picture_as_first_frame
from engine.runtime.base import Array, Graph
from engine.runtime.execution import Execution

_Key = tuple[bytes, tuple[int, ...], int]


class PictureEncoder:
    """Caches ``cache_bytes`` of conditioning, so that another sentence about a picture does not wait for its encoding.

    The conditioning of I2V-A14B has 10 MiB at 832x480 and 81 frames, that of TI2V-5B 0.7 MiB at 1280x704.
    ``is_first_frame``: the model family takes the picture as the first latent frame, not as channels.
    """

    def __init__(self, *, is_first_frame: bool, cache_bytes: int) -> None:
        self._is_first_frame = is_first_frame
        self._cache: BoundedCache[_Key, Array] = BoundedCache(cache_bytes, lambda array: array.nbytes)

    def encode(
        self, picture: Pixels, latent_frame_count: int, graph_of: Callable[[GraphName], Graph], execution: Execution
    ) -> Array:
        """The conditioning of a picture at a length; see ``image_conditioning`` for shapes. Not to be written to.

        No graph call if cached; what a cancelled job began is not kept.
        """
        key = hashlib.sha256(picture.tobytes()).digest(), picture.shape, latent_frame_count
        if (cached := self._cache.find([key]).get(key)) is not None:
            return cached
        conditioning = self.encode_anew(picture, latent_frame_count, graph_of, execution)
        conditioning.setflags(write=False)
        self._cache.keep({key: conditioning})
        return conditioning

    def encode_anew(
        self, picture: Pixels, latent_frame_count: int, graph_of: Callable[[GraphName], Graph], execution: Execution
    ) -> Array:
        """Like ``encode``, for a picture that does not come again: the cache is neither asked nor filled."""
        init = graph_of("vae_encoder_init")
        if self._is_first_frame:
            return picture_as_first_frame(picture, CausalVaeStream(execution, init, None))
        encoder = CausalVaeStream(execution, init, graph_of("vae_encoder_step"))
        return picture_as_channels(picture, latent_frame_count, encoder)
