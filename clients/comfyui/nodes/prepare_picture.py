"""The node that brings a picture to the size of the clip and shows what the clip starts from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..choices import BY_THE_PICTURE, CROP_CENTER, FITS, LARGE_PICTURES, SHRINK
from ..wheel import require_wheel
from .links import check_links
from .shown_pictures import temporary_picture
from .types import CATEGORY, PICTURE, SERVER_INPUT, InputTypes

if TYPE_CHECKING:
    import torch

    from ..server_link import ServerLink

SIZE_FORM = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


class PreparePicture:
    """Fits a picture to the clip, and shows the result before anything is generated."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Fits a picture to the clip without stretching it, and shows exactly what the clip will start from."
    FUNCTION = "prepare"
    OUTPUT_NODE = True
    RETURN_TYPES = (PICTURE, "IMAGE", "STRING")
    RETURN_NAMES = ("picture", "preview", "report")
    OUTPUT_TOOLTIPS = (
        "The picture with its size and fit, for Match Score and Generate Video.",
        "Exactly what the clip starts from.",
        "What was found in the picture, and what to change.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return {
            "required": {
                "server": SERVER_INPUT,
                "image": ("IMAGE", {"tooltip": "One picture. A batch of more pictures is refused."}),
                "prompt": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "The sentence that the clip will follow. It names the subject to crop around; the "
                        "other fits work without it.",
                    },
                ),
                "size": (
                    [BY_THE_PICTURE],
                    {
                        "default": BY_THE_PICTURE,
                        "tooltip": "Size of the clip in pixels, width x height, of those that the server offers. "
                        f"{BY_THE_PICTURE}: the size whose shape is nearest to the picture's.",
                    },
                ),
                "fit": (
                    list(FITS),
                    {
                        "default": CROP_CENTER,
                        "tooltip": "How the picture is brought to the shape of the clip; it is never stretched. "
                        "crop_subject: crop around the subject that the prompt names. crop_center: crop around the "
                        "centre. pad: keep the whole picture and add bars. refuse: stop if the shapes differ.",
                    },
                ),
                "large_pictures": (
                    list(LARGE_PICTURES),
                    {
                        "default": SHRINK,
                        "tooltip": "What happens to a picture that is larger than the server takes: it is made "
                        "smaller, or refused.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, size: str | None = None) -> bool | str:  # noqa: N802
        """Accepts every size in the form that the server's sizes have; the server knows which it offers."""
        if size is None or size == BY_THE_PICTURE or SIZE_FORM.fullmatch(size):
            return True
        return f"{size!r} is no size; give width x height in pixels, such as 832x480, or {BY_THE_PICTURE!r}"

    def prepare(  # noqa: PLR0917
        self,
        server: ServerLink,
        image: torch.Tensor,
        prompt: str,
        size: str,
        fit: str,
        large_pictures: str,
        unique_id: str = "",
    ) -> dict[str, Any]:
        """Returns the picture, its preview [1, height, width, 3] and the report. Raises ``NodeError``."""
        require_wheel()
        from .. import host
        from ..pictures import image_of
        from ..preparation import prepare
        from ..server_link import ServerLink

        check_links(server=(server, ServerLink, "Stillcue Server"))
        found = SIZE_FORM.fullmatch(size)
        size_px = None if found is None else (int(found[1]), int(found[2]))
        made = prepare(server, image, prompt, size=size_px, fit=fit, large_pictures=large_pictures)
        host.show_text(made.report, unique_id)
        shown = {"images": [temporary_picture(made.picture.data)], "text": (made.report,)}
        return {"ui": shown, "result": (made.picture, image_of(made.picture.data), made.report)}
