"""The synthetic world: specs of clips, their drawn frames with ground truth, and captions in English and Chinese.

Imports no torch.
"""

from pocket.world.captions import LANGUAGES, caption, scene_caption, still_caption
from pocket.world.motion import Motion, plan_motion
from pocket.world.render import (
    Clip,
    apply_light,
    render_additions,
    render_backdrop,
    render_clip,
    render_picture,
    render_still,
)
from pocket.world.spec import ClipSpec, Distractor, Framing, is_held_out, list_combinations, sample_spec
from pocket.world.vocabulary import (
    ACTIONS,
    COLOURS,
    FRAME_COUNT,
    FRAMES_PER_SECOND,
    LIGHTS,
    OPPOSITE_ACTION,
    PICTURE_PX,
    SCENES,
    SUBJECTS,
    is_plausible,
)

__all__ = [
    "ACTIONS",
    "COLOURS",
    "FRAMES_PER_SECOND",
    "FRAME_COUNT",
    "LANGUAGES",
    "LIGHTS",
    "OPPOSITE_ACTION",
    "PICTURE_PX",
    "SCENES",
    "SUBJECTS",
    "Clip",
    "ClipSpec",
    "Distractor",
    "Framing",
    "Motion",
    "apply_light",
    "caption",
    "is_held_out",
    "is_plausible",
    "list_combinations",
    "plan_motion",
    "render_additions",
    "render_backdrop",
    "render_clip",
    "render_picture",
    "render_still",
    "sample_spec",
    "scene_caption",
    "still_caption",
]
