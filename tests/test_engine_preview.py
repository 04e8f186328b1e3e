"""Projection of latents to preview pixels, against values computed by hand."""

from __future__ import annotations

import numpy as np

from engine.bundle.manifest import PreviewSpec
from engine.generate.preview import preview_of, to_pixels

# Two channels: the first is red, the second is green and blue; zeros are dark grey.
_SPEC = PreviewSpec(matrix=((1.0, 0.0, 0.0), (0.0, 0.5, 0.25)), bias=(0.2, 0.2, 0.2), r_squared=1.0)


def test_a_preview_is_the_middle_latent_frame_through_the_projection() -> None:
    latents = np.zeros((1, 2, 3, 1, 2), np.float32)
    latents[0, :, 0], latents[0, :, 2] = 9.0, 9.0  # neither the first nor the last one
    latents[0, :, 1, 0, 1] = 0.4, 0.8
    assert preview_of(latents, _SPEC).tolist() == [[[51, 51, 51], [153, 153, 102]]]


def test_of_two_middle_latent_frames_the_later_one_is_shown() -> None:
    latents = np.zeros((1, 2, 2, 1, 1), np.float32)
    latents[0, 0, 1] = 0.8
    assert preview_of(latents, _SPEC).tolist() == [[[255, 51, 51]]]


def test_colours_are_rounded_to_the_nearest_byte_and_never_wrap() -> None:
    colours = np.array([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 127.4 / 255, 127.6 / 255, 1.0, 1.1, 300.0], np.float32)
    pixels = to_pixels(colours)
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [0, 0, 0, 1, 127, 128, 255, 255, 255]
