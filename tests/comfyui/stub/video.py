"""``comfy_api.latest``: VIDEO from frames or from a file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import torch


@dataclass
class VideoComponents:
    """Frames [count, height, width, 3] and their rate."""

    images: torch.Tensor
    frame_rate: Fraction
    audio: Any = None
    metadata: Any = None


class VideoFromComponents:
    """A VIDEO of frames, encoded when it is saved."""

    def __init__(self, components: VideoComponents) -> None:
        if not isinstance(components.frame_rate, Fraction) or components.images.ndim != 4:
            raise TypeError("VideoComponents needs frames [count, height, width, 3] and a Fraction")
        self._components = components

    def get_components(self) -> VideoComponents:
        return self._components

    def get_dimensions(self) -> tuple[int, int]:
        return self._components.images.shape[2], self._components.images.shape[1]

    def save_to(self, path: str, format: str = "auto", codec: str = "auto", metadata: Any = None) -> None:  # noqa: A002
        with av.open(path, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=self._components.frame_rate)
            stream.width, stream.height = self.get_dimensions()
            stream.pix_fmt = "yuv420p"
            for image in self._components.images:
                pixels = (image * 255).clamp(0, 255).byte().numpy()
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())


class VideoFromFile:
    """A VIDEO of an encoded file."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def get_components(self) -> VideoComponents:
        self._file.seek(0)
        with av.open(self._file, "r") as container:
            rate = container.streams.video[0].average_rate
            frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")) / 255 for frame in container.decode(video=0)]
        return VideoComponents(torch.stack(frames), Fraction(rate or 1))

    def get_dimensions(self) -> tuple[int, int]:
        self._file.seek(0)
        with av.open(self._file, "r") as container:
            stream = container.streams.video[0]
            return stream.width, stream.height

    def save_to(self, path: str, format: str = "auto", codec: str = "auto", metadata: Any = None) -> None:  # noqa: A002
        with open(path, "wb") as file:  # noqa: PTH123 - ComfyUI's signature takes a path as text
            file.write(self._file.getbuffer())


class InputImpl:
    """The classes of VIDEO."""

    VideoFromComponents = VideoFromComponents
    VideoFromFile = VideoFromFile


class Types:
    """The data of a VIDEO."""

    VideoComponents = VideoComponents
