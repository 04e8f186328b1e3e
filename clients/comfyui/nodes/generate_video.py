"""The node that generates a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..choices import FROM_THE_FRAMES, SERVERS_DEFAULT, VIDEO_SOURCES, WHEN_EMPTY
from ..wheel import NodeError, require_wheel
from .types import CATEGORY, CLIP, PICTURE, SERVER, InputTypes

if TYPE_CHECKING:
    from ..connection import ServerLink
    from ..pictures import PreparedPicture

LARGEST_SEED = 2**63 - 1
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
        "The seed that was used.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return {
            "required": {
                "server": (SERVER, {"tooltip": "From a Stillcue Server node."}),
                "picture": (PICTURE, {"tooltip": "From Prepare Picture, or through Match Score."}),
                "prompt": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "The sentence: the subject as the picture shows it, then one or two actions, the "
                        "place, the camera.",
                    },
                ),
                "frames": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 1_000_001,
                        "tooltip": "Number of frames: 1 more than a multiple of 4, of those that the server offers. "
                        "0: the server's default.",
                    },
                ),
                "frame_rate": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 120.0,
                        "step": 0.001,
                        "round": 0.001,
                        "tooltip": "Frames per second at which the video plays; the frames stay the same. 23.976 is "
                        "24000/1001. 0: the model's own rate.",
                    },
                ),
                "steps": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 10_000,
                        "tooltip": "Number of denoising steps. 0: the server's default.",
                    },
                ),
                "guidance": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 30.0,
                        "step": 0.1,
                        "round": 0.01,
                        "tooltip": "Guidance scale (CFG) of the high-noise expert, or of the only transformer. 1: no "
                        "guidance, and the negative prompt has no effect. 0: the server's default.",
                    },
                ),
                "guidance_low_noise": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 30.0,
                        "step": 0.1,
                        "round": 0.01,
                        "tooltip": "Guidance scale (CFG) of the low-noise expert. 0: the server's default. A model "
                        "with one transformer has no low-noise expert and takes 0 only.",
                    },
                ),
                "seed": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": LARGEST_SEED,
                        "control_after_generate": True,
                        "tooltip": "Seed of the noise. The same seed and settings give the same frames.",
                    },
                ),
                "negative_prompt": (
                    "STRING",
                    {"default": "", "multiline": True, "tooltip": "What the clip must not show."},
                ),
                "negative_when_empty": (
                    list(WHEN_EMPTY),
                    {
                        "default": SERVERS_DEFAULT,
                        "tooltip": "What an empty negative prompt means: the server's default negative prompt, or no "
                        "negative prompt.",
                    },
                ),
                "video": (
                    list(VIDEO_SOURCES),
                    {
                        "default": FROM_THE_FRAMES,
                        "tooltip": f"{FROM_THE_FRAMES}: ComfyUI encodes the exact frames when it saves them. From the "
                        "server: the server encodes while it decodes, and less crosses the network; frames are then "
                        "fetched only if the output frames is linked.",
                    },
                ),
            },
            "optional": {
                "shift": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 100.0,
                        "step": 0.1,
                        "round": 0.01,
                        "tooltip": "Shift of the flow schedule. 0: the server's default.",
                    },
                ),
            },
            "hidden": {"prompt_graph": "PROMPT", "unique_id": "UNIQUE_ID"},
        }

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
        prompt_graph: dict[str, Any] | None = None,
        unique_id: str = "",
    ) -> tuple[object, object, object, int]:
        """Returns the video, the frames [count, height, width, 3], the clip's summary and the seed."""
        require_wheel()
        from .. import host
        from ..generation import ClipRequest, generate
        from ..video_source import video_of, wants_frames

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
        )
        needed = wants_frames(prompt_graph or {}, unique_id, FRAMES_SLOT)
        clip = generate(server, picture, request, video, wants_frames=needed, node_id=unique_id)
        images = host.blocked(NO_FRAMES) if clip.images is None else clip.images
        return video_of(clip), images, clip.summary, clip.summary.settings.seed
