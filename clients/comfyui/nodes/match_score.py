"""The node that scores how well picture and sentence match, and stops the graph below a minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .types import CATEGORY, PICTURE, SERVER, InputTypes

if TYPE_CHECKING:
    from ..pictures import PreparedPicture


class MatchScore:
    """Scores picture and sentence before the card is spent on a clip."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Tells before a clip is generated how well picture and sentence match, and what to change. Below the minimum "
        "score the graph stops here."
    )
    FUNCTION = "score"
    OUTPUT_NODE = True
    RETURN_TYPES = (PICTURE, "STRING", "FLOAT", "STRING", "STRING", "STRING", "IMAGE", "IMAGE")
    RETURN_NAMES = ("picture", "prompt", "score", "verdict", "report", "rewritten_prompt", "heat_map", "crop")
    OUTPUT_TOOLTIPS = (
        "The picture, if the score reaches the minimum.",
        "The prompt, if the score reaches the minimum.",
        "The score, 0 to 100.",
        "good from 70, doubtful from 40, poor below.",
        "Parts of the sentence with their scores, findings, and what to change.",
        "The sentence as rules would improve it; the sentence itself if they find nothing to improve.",
        "Where in the picture the subject is.",
        "What the clip starts from.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return {
            "required": {
                "server": (SERVER, {"tooltip": "From a Stillcue Server node."}),
                "picture": (PICTURE, {"tooltip": "From a Prepare Picture node."}),
                "prompt": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "The sentence: the subject as the picture shows it, then one or two actions, the "
                        "place, the camera.",
                    },
                ),
                "minimum_score": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 100.0,
                        "step": 1.0,
                        "tooltip": "The graph stops below this score, with the report. 0: it never stops.",
                    },
                ),
            },
            "optional": {
                "negative_prompt": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "What the clip must not show, as in Generate Video. Empty: the server's default.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def score(  # noqa: PLR0917
        self,
        server: object,
        picture: PreparedPicture,
        prompt: str,
        minimum_score: float,
        negative_prompt: str = "",
        unique_id: str = "",
    ) -> dict[str, Any]:
        """Returns picture and prompt, score, verdict, report, rewritten prompt, heat map and crop."""
        raise NotImplementedError
