"""Diffusers as one side of ``benchmarks.pipeline``: ``python -m benchmarks.diffusers_side CHECKPOINT CLIP``.

Runs Diffusers' pipeline as its documentation shows it: eager, float32, nothing compiled and nothing cached.
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image

from benchmarks.clip import Clip, Marks, Take, serve


def main(checkpoint: str, clip_file: str) -> None:
    """Loads the checkpoint and answers takes; see ``benchmarks.clip``."""
    clip = Clip(**json.loads(Path(clip_file).read_text()))
    torch.set_num_threads(clip.thread_count)
    pipeline = WanImageToVideoPipeline.from_pretrained(checkpoint, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def make(take: Take) -> tuple[Marks, NDArray[Any]]:
        picture, noise = clip.picture, clip.noise
        step_ends: list[float] = []

        def on_step_end(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            step_ends.append(time.perf_counter())
            return tensors

        started = time.perf_counter()
        output = pipeline(
            image=Image.open(io.BytesIO(picture)),
            prompt=take.prompt,
            negative_prompt=take.negative_prompt,
            height=clip.height_px,
            width=clip.width_px,
            num_frames=clip.frame_count,
            num_inference_steps=clip.step_count,
            guidance_scale=clip.guidance_scale,
            guidance_scale_2=clip.guidance_scale_low_noise,
            latents=torch.from_numpy(noise),
            callback_on_step_end=on_step_end,
            callback_on_step_end_tensor_inputs=[],
            output_type="np",
        )
        ended = time.perf_counter()
        return Marks(started, step_ends, ended, ended), output.frames[0]

    serve(make)


if __name__ == "__main__":
    main(*sys.argv[1:])
