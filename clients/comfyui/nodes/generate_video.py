"""The node that generates a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..choices import FROM_THE_FRAMES, SERVERS_DEFAULT, VIDEO_SOURCES
from ..errors import NodeError
from ..wheel import require_wheel
from .generate_inputs import generate_inputs
from .links import check_links
from .types import CATEGORY, CLIP, InputTypes

if TYPE_CHECKING:
    from ..pictures import PreparedPicture
    from ..server_link import ServerLink

FRAMES_SLOT = 1
NO_FRAMES = "the frames were left out because nothing used them; set video to “from the frames”"


class GenerateVideo:
    """Generates a clip from a picture and a sentence on the server."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Generates a clip on the Stillcue server. The bar counts steps and then frames; Cancel ends the job on the "
        "server. Equal inputs are generated once."
    )
    FUNCTION = "generate"
    RETURN_TYPES = ("VIDEO", "IMAGE", CLIP, "INT")
    RETURN_NAMES = ("video", "frames", "clip", "seed")
    OUTPUT_TOOLTIPS = (
        "The clip, for Save Video.",
        "Every frame, exactly as the server decoded it.",
        "What the server measured, for Diagnosis.",
        "The seed that was used, of several attempts that of the best.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return generate_inputs()

    @classmethod
    def VALIDATE_INPUTS(cls, video: str | None = None) -> bool | str:  # noqa: N802
        """Accepts every choice of this pack, whatever the server at hand offers; the server refuses others by name."""
        if video is None or video in VIDEO_SOURCES:
            return True
        return f"{video!r} is none of {', '.join(VIDEO_SOURCES)}"

    @classmethod
    def IS_CHANGED(cls, video: str = FROM_THE_FRAMES, unique_id: str = "", **_inputs: object) -> str:  # noqa: N802
        """Tells apart whether frames are fetched, so that a clip without them is made again when they are linked."""
        if video == FROM_THE_FRAMES:
            return "frames"
        try:
            require_wheel()
        except NodeError:
            return "frames"
        from .. import host
        from ..video_source import wants_frames

        return "frames" if wants_frames(host.running_graph(), unique_id, FRAMES_SLOT) else "no frames"

    def generate(  # noqa: PLR0917
        self,
        server: ServerLink,
        picture: PreparedPicture,
        prompt: str,
        frames: int,
        frame_rate: float,
        steps: int,
        guidance: float,
        guidance_low_noise: float,
        seed: int,
        negative_prompt: str,
        negative_when_empty: str,
        video: str,
        shift: float = 0.0,
        attempts: int = 1,
        step_reuse: str = SERVERS_DEFAULT,
        seconds: float = 0.0,
        stages: str = "",
        prompt_graph: dict[str, Any] | None = None,
        unique_id: str = "",
    ) -> tuple[object, object, object, int]:
        """Returns the video, the frames [count, height, width, 3], the clip's summary and the seed."""
        require_wheel()
        from .. import host
        from ..clip import video_of
        from ..clip_length import stage_sentences
        from ..generation import ClipRequest, generate
        from ..pictures import PreparedPicture
        from ..server_link import ServerLink
        from ..video_source import wants_frames

        check_links(
            server=(server, ServerLink, "Stillcue Server"), picture=(picture, PreparedPicture, "Prepare Picture")
        )
        request = ClipRequest(
            prompt=prompt,
            frame_count=frames,
            frame_rate=frame_rate,
            step_count=steps,
            guidance_scale=guidance,
            guidance_scale_low_noise=guidance_low_noise,
            seed=seed,
            negative_prompt=None if not negative_prompt and negative_when_empty == SERVERS_DEFAULT else negative_prompt,
            shift=shift,
            attempt_count=attempts,
            step_reuse=None if step_reuse == SERVERS_DEFAULT else step_reuse,
            seconds=seconds,
            stages=stage_sentences(stages),
        )
        needed = wants_frames(prompt_graph or {}, unique_id, FRAMES_SLOT)
        clip = generate(server, picture, request, video, wants_frames=needed, node_id=unique_id)
        images = host.blocked(NO_FRAMES) if clip.images is None else clip.images
        return video_of(clip), images, clip.summary, clip.summary.settings.seed
