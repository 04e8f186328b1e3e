"""The inputs of Generate Video."""

from ..choices import FROM_THE_FRAMES, SERVERS_DEFAULT, STEP_REUSES, VIDEO_SOURCES, WHEN_EMPTY
from .types import PICTURE, SENTENCE_INPUT, SERVER_INPUT, InputTypes

LARGEST_SEED = 2**63 - 1


def generate_inputs() -> InputTypes:
    """Returns every input with its range and tooltip; ranges are those of the server."""
    return {
        "required": {
            "server": SERVER_INPUT,
            "picture": (PICTURE, {"tooltip": "From Prepare Picture, or through Match Score."}),
            "prompt": SENTENCE_INPUT,
            "frames": (
                "INT",
                {
                    "default": 0,
                    "min": 0,
                    "max": 1_000_001,
                    "tooltip": "Number of frames: 1 more than a multiple of 4, of those that the server offers, or "
                    "more: the clip is then a chain of segments. 0: the server's default.",
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
            "attempts": (
                "INT",
                {
                    "default": 1,
                    "min": 1,
                    "max": 8,
                    "tooltip": "How often the clip may be made, with the next seed each time, until the server judges "
                    "it good; the best one comes out. Each attempt takes as long as a clip. 1: the clip is made once.",
                },
            ),
            "step_reuse": (
                list(STEP_REUSES),
                {
                    "default": SERVERS_DEFAULT,
                    "tooltip": "How much of earlier denoising steps is reused instead of computed: saves time and "
                    "changes the clip. off: every step is computed. balanced: the clip stays close to that. fast: "
                    "faster, with larger differences. A server without reuse computes every step.",
                },
            ),
            "seconds": (
                "FLOAT",
                {
                    "default": 0.0,
                    "min": 0.0,
                    "max": 600.0,
                    "step": 0.1,
                    "round": 0.01,
                    "tooltip": "Length in seconds instead of frames, which must then be 0. Longer than the model's own "
                    "length: the clip is a chain of segments, each of which begins with the last frame of the one "
                    "before. 0: by frames.",
                },
            ),
            "stages": (
                "STRING",
                {
                    "default": "",
                    "multiline": True,
                    "tooltip": "One sentence a line, each the prompt of a segment of a chain and complete in itself; "
                    "they replace the prompt. Set frames to 0 unless the last segment is to be cut. Empty: the prompt, "
                    "which is divided by its stages if the clip is long.",
                },
            ),
        },
        "hidden": {"prompt_graph": "PROMPT", "unique_id": "UNIQUE_ID"},
    }
