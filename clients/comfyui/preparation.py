"""Fits a picture to the size of the clip, for the Prepare Picture node.

The result is the picture from which the clip starts, pixel for pixel: Generate Video sends it, and the server has
nothing left to crop or to resize, whatever sentence comes with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stillcue import PictureFit
from stillcue.report_text import describe_crop, picture_lines

from .choices import CROP_SUBJECT
from .connection import capabilities_of
from .errors import NodeError
from .fitting import Size, fit_here, nearest_size
from .large_pictures import within_limits
from .pictures import PreparedPicture, picture_of, pixels_of, png_of
from .scoring import score_picture

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from stillcue import Capabilities, MatchReport

    from .server_link import ServerLink

# Stands for a sentence where only the picture is asked about.
_NO_SENTENCE = "a picture"


@dataclass(frozen=True)
class Preparation:
    """A prepared picture, and what was found in it."""

    picture: PreparedPicture
    report: str


def prepare(
    link: ServerLink, image: torch.Tensor, prompt: str, *, size: Size | None, fit: str, large_pictures: str
) -> Preparation:
    """Fits a picture to a clip of a size; ``size`` None: the one whose aspect is nearest to the picture's.

    Raises ``NodeError`` with the remedy.
    """
    picture = picture_of(image)
    capabilities = capabilities_of(link)
    sizes = tuple(dict.fromkeys((item.width_px, item.height_px) for item in capabilities.geometries))
    if size is not None and size not in sizes:
        offered = ", ".join(f"{width}x{height}" for width, height in sizes)
        raise NodeError(f"size is {size[0]}x{size[1]}, but the server at {link.address} offers {offered}; choose one")
    if fit == CROP_SUBJECT and not prompt.strip():
        raise NodeError(
            f"prompt is empty, and {CROP_SUBJECT} crops around the subject that it names; write the sentence, or "
            "choose crop_center or pad"
        )
    data, note = within_limits(picture, capabilities.limits, large_pictures)
    chosen = size or nearest_size(picture, sizes)
    if capabilities.match_supported:
        fitted, lines = _fit_on_server(link, data, prompt, chosen, fit)
    else:
        fitted = png_of(fit_here(picture, chosen, fit))
        lines = [_without_scorer(capabilities), _size_line(picture)]
    shape = pixels_of(fitted).shape
    if shape != (chosen[1], chosen[0], 3):
        raise NodeError(
            f"the server fitted the picture to {shape[1]}x{shape[0]}, not to {chosen[0]}x{chosen[1]}; tell its operator"
        )
    prepared = PreparedPicture(fitted, *chosen)
    head = f"the clip starts from {chosen[0]}x{chosen[1]} px ({fit})"
    return Preparation(prepared, "\n".join([head, *([note] if note else []), *lines]))


def _fit_on_server(link: ServerLink, data: bytes, prompt: str, size: Size, fit: str) -> tuple[bytes, list[str]]:
    report = score_picture(
        link,
        data,
        (prompt.strip() and prompt) or _NO_SENTENCE,
        width_px=size[0],
        height_px=size[1],
        picture_fit=PictureFit(fit),
        include_crop=True,
    )
    if not report.crop_png:
        raise NodeError(f"the server at {link.address} sent no fitted picture; update the server")
    if not prompt.strip():
        report = replace(report, grounding=None)
    lines = picture_lines(report)
    if fit == CROP_SUBJECT:
        lines.insert(0, _crop_line(report, size))
    return report.crop_png, lines


def _crop_line(report: MatchReport, size: Size) -> str:
    if report.grounding is None or report.grounding.box is None:
        return "the subject was not found in the picture, so it is cropped around the centre; name it as it looks"
    crops = (item for item in report.crops if (item.width_px, item.height_px) == size)
    return next((f"crop: {describe_crop(item)}" for item in crops), "")


def _without_scorer(capabilities: Capabilities) -> str:
    return (
        f"the model {capabilities.model.name} has no scorer: the picture was fitted in ComfyUI, and its faults and its "
        "subject were not looked for"
    )


def _size_line(picture: Image.Image) -> str:
    return f"picture {picture.width}x{picture.height}"
