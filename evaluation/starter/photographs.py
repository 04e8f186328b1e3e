"""The photographs of scikit-image's wheel that anyone may pass on, with the source and licence that its code states.

scikit-image names them in ``skimage/data/_fetchers.py``. Pictures there without a statement of their licence are left
out (the motorcycle, the moon).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import resources

from PIL import Image

_REMEDY = "install the evaluation's packages: pip install -e '.[evaluation]'"


class PhotographMissing(Exception):
    """scikit-image or one of its photographs is not installed. The message names the remedy."""


@dataclass(frozen=True)
class Photograph:
    """A file in scikit-image's folder ``data``. ``is_silhouette``: a black shape that needs a backdrop."""

    file: str
    shows: str
    source: str
    licence: str
    is_silhouette: bool = False


PHOTOGRAPHS = {
    item.file: item
    for item in (
        Photograph("astronaut.png", "the astronaut Eileen Collins", "NASA, https://flic.kr/p/r9qvLn", "public domain"),
        Photograph("camera.png", "a photographer on a lawn, without colour", "Lav Varshney", "CC0"),
        Photograph("chelsea.png", "a cat's face", "Stéfan van der Walt", "CC0"),
        Photograph("coffee.png", "a cup of coffee", "Rachel Michetti, by courtesy of Pikolo Espresso Bar", "CC0"),
        Photograph(
            "rocket.jpg",
            "Falcon 9 on its launch pad (the only JPEG)",
            "SpaceX, https://www.flickr.com/photos/spacexphotos/16511594820",
            "public domain",
        ),
        Photograph(
            "horse.png",
            "the silhouette of a horse, here before a drawn meadow",
            "Andreas Preuss, https://openclipart.org/detail/158377",
            "CC0",
            is_silhouette=True,
        ),
    )
}


def open_photograph(photograph: Photograph) -> Image.Image:
    """Read a photograph as RGB, or a silhouette as L. Raises ``PhotographMissing``."""
    try:
        data = (resources.files("skimage") / "data" / photograph.file).read_bytes()
    except ModuleNotFoundError:
        raise PhotographMissing(f"scikit-image is not installed; {_REMEDY}") from None
    except FileNotFoundError:
        raise PhotographMissing(f"scikit-image has no data/{photograph.file}; {_REMEDY}") from None
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert("L" if photograph.is_silhouette else "RGB")
