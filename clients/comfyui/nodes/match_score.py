"""The node that scores how well picture and sentence match, and stops the graph below a minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wheel import require_wheel
from .links import check_links
from .types import CATEGORY, PICTURE, SENTENCE_INPUT, SERVER_INPUT, InputTypes

if TYPE_CHECKING:
    from ..pictures import PreparedPicture
    from ..server_link import ServerLink


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
        "The score, 0 to 100. -1: the server's model has no scorer.",
        "good from 70, doubtful from 40, poor below.",
        "Parts of the sentence with their scores, findings, and what to change.",
        "The sentence as rules would improve it; the sentence itself if they find nothing to improve.",
        "Where in the picture the subject is, brighter for more; one black pixel if the scorer cannot tell.",
        "The picture cropped around the subject of this prompt, for comparison; the clip starts from the picture.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return {
            "required": {
                "server": SERVER_INPUT,
                "picture": (PICTURE, {"tooltip": "From a Prepare Picture node."}),
                "prompt": SENTENCE_INPUT,
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
        server: ServerLink,
        picture: PreparedPicture,
        prompt: str,
        minimum_score: float,
        negative_prompt: str = "",
        unique_id: str = "",
    ) -> dict[str, Any]:
        """Returns picture and prompt, score, verdict, report, rewritten prompt, heat map and crop."""
        require_wheel()
        from .. import host
        from ..pictures import PreparedPicture, blank_image, image_of
        from ..scoring import NO_SCORER, report_text, score_match
        from ..server_link import ServerLink

        check_links(
            server=(server, ServerLink, "Stillcue Server"), picture=(picture, PreparedPicture, "Prepare Picture")
        )
        report = score_match(server, picture, prompt, minimum_score, negative_prompt)
        if report is None:
            host.show_text(NO_SCORER, unique_id)
            nothing = (picture, prompt, -1.0, "unknown", NO_SCORER, prompt, blank_image(), image_of(picture.data))
            return {"ui": {"text": (NO_SCORER,)}, "result": nothing}
        text = report_text(report)
        host.show_text(text, unique_id)
        better = None if report.prompt_report is None else report.prompt_report.rewritten_prompt
        result = (
            picture,
            prompt,
            report.score,
            report.verdict.value,
            text,
            prompt if better is None else better,
            image_of(report.heat_map_png) if report.heat_map_png else blank_image(),
            image_of(report.crop_png or picture.data),
        )
        return {"ui": {"text": (text,)}, "result": result}
