"""The node that tells what went wrong in a clip and which remedy to try first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wheel import require_wheel
from .links import check_links
from .types import CATEGORY, CLIP, InputTypes

if TYPE_CHECKING:
    from stillcue import Summary


class Diagnosis:
    """Tells what the server measured in a clip, in words."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Tells what went wrong in a clip, and which remedy to try first."
    FUNCTION = "diagnose"
    OUTPUT_NODE = True
    RETURN_TYPES = ("STRING", "STRING", "STRING", "FLOAT", "FLOAT")
    RETURN_NAMES = ("report", "outcome", "first_remedy", "consistency", "motion")
    OUTPUT_TOOLTIPS = (
        "Settings, times, findings, symptoms and remedies.",
        "clean: nothing was noticed. suspect: see the report. unknown: the server checked nothing.",
        "The remedy to try first; empty if none is needed.",
        "How alike the subject stays through the clip, 0 to 1; read it together with motion. -1: not measured, because "
        "the server has no scorer.",
        "Share of the clip that moves, 0 to 1. -1: not measured.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return {
            "required": {"clip": (CLIP, {"tooltip": "From Generate Video."})},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def diagnose(self, clip: Summary, unique_id: str = "") -> dict[str, Any]:
        """Returns the report, the outcome, the first remedy, the consistency and the motion."""
        require_wheel()
        from stillcue import Summary

        from .. import host
        from ..clip_report import clip_report, consistency, first_remedy, motion, outcome

        check_links(clip=(clip, Summary, "Generate Video"))
        report = clip_report(clip)
        host.show_text(report, unique_id)
        result = (report, outcome(clip), first_remedy(clip), consistency(clip), motion(clip))
        return {"ui": {"text": (report,)}, "result": result}
