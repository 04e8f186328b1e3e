"""From picture and sentence to frames: the one place where evaluation meets the model.

Knows how a generator is called. The one here runs the checkpoint with the library's pipeline.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image

from pocket.world import FRAME_COUNT, PICTURE_PX

Generate = Callable[[NDArray[np.uint8], str, int, float, int], NDArray[np.uint8]]
"""(picture [height, width, 3] uint8, sentence, seed, guidance scale, steps) -> frames
[frames, height, width, 3] uint8."""


def load_generator(checkpoint: Path) -> Generate:
    """Load a checkpoint folder with the stock pipeline in float32."""
    pipeline = WanImageToVideoPipeline.from_pretrained(checkpoint, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipeline.to(device)

    def generate(
        picture: NDArray[np.uint8], sentence: str, seed: int, guidance: float, steps: int
    ) -> NDArray[np.uint8]:
        frames = pipeline(
            image=Image.fromarray(picture),
            prompt=sentence,
            negative_prompt="",
            height=PICTURE_PX,
            width=PICTURE_PX,
            num_frames=FRAME_COUNT,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator(device="cpu").manual_seed(seed),
            output_type="np",
        ).frames[0]
        return np.round(np.clip(frames, 0.0, 1.0) * 255.0).astype(np.uint8)

    return generate
