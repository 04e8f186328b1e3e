"""Scores picture and sentence for the Match Score node, and stops the graph below a minimum score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import stillcue
from stillcue import PictureFit
from stillcue.report_text import match_lines, picture_lines

from . import host
from .connection import capabilities_of, new_client
from .errors import NodeError
from .interruption import interruptible
from .node_errors import check_text, node_error

if TYPE_CHECKING:
    from stillcue import MatchReport
    from stillcue.request import ScoreOptions

    from .pictures import PreparedPicture
    from .server_link import ServerLink

SCORE_SECONDS = 300.0
NO_SCORER = "the server's model has no scorer: picture and sentence go on unscored"


def score_picture(link: ServerLink, data: bytes, prompt: str, **options: Unpack[ScoreOptions]) -> MatchReport:
    """Returns the match report of a picture file and a sentence.

    Raises ``NodeError`` with the remedy. After Cancel ends the call and raises ComfyUI's interrupt.
    """
    check_text(prompt=prompt, negative_prompt=options.get("negative_prompt"))
    client = new_client(link)
    try:
        return interruptible(
            lambda: client.score_match(data, prompt, timeout_seconds=SCORE_SECONDS, **options), client.close
        )
    except stillcue.StillcueError as error:
        host.raise_if_interrupted()
        raise node_error(error, link) from error
    finally:
        client.close()


def score_match(
    link: ServerLink, picture: PreparedPicture, prompt: str, minimum_score: float, negative_prompt: str
) -> MatchReport | None:
    """Returns the match report of a prepared picture; None if the server cannot score and no minimum asks for it.

    Raises ``NodeError`` with the report if the score is below the minimum.
    """
    capabilities = capabilities_of(link)
    if not capabilities.match_supported:
        if minimum_score <= 0:
            return None
        raise NodeError(
            f"minimum_score is {minimum_score:g}, but the model {capabilities.model.name} has no scorer; set it to 0, "
            "or choose a server with a scorer"
        )
    report = score_picture(
        link,
        picture.data,
        prompt,
        width_px=picture.width_px,
        height_px=picture.height_px,
        negative_prompt=negative_prompt or None,
        picture_fit=PictureFit.CROP_SUBJECT,
        include_heat_map=True,
        include_crop=True,
    )
    if report.score < minimum_score:
        head = f"the match score is {report.score:.1f}, below the minimum_score of {minimum_score:g}; no clip was made."
        raise NodeError(f"{head} Change what the report names, or lower minimum_score.\n{report_text(report)}")
    return report


def report_text(report: MatchReport) -> str:
    """Returns a match report for people: score, sentence, picture."""
    return "\n".join([*match_lines(report), *picture_lines(report)])
