"""The vocabulary of the synthetic world: subjects, colours, scenes, actions and lights, and which of them combine."""

from dataclasses import dataclass

PICTURE_PX = 64
FRAME_COUNT = 17
FRAMES_PER_SECOND = 4

ACTIONS = (
    "moves_left",
    "moves_right",
    "jumps",
    "rises",
    "sinks",
    "comes_closer",
    "goes_away",
    "stays",
)
OPPOSITE_ACTION = {
    "moves_left": "moves_right",
    "moves_right": "moves_left",
    "rises": "sinks",
    "sinks": "rises",
    "comes_closer": "goes_away",
    "goes_away": "comes_closer",
}
LIGHTS = ("steady", "fades", "grows")
SCENES = ("room", "road", "meadow", "beach", "sea", "lake", "reef", "sky")

Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "white": (240, 238, 232),
    "black": (58, 56, 66),
    "grey": (142, 150, 162),
    "orange": (240, 146, 60),
    "red": (222, 66, 62),
    "blue": (62, 116, 214),
    "green": (66, 164, 96),
    "yellow": (246, 202, 66),
    "pink": (240, 150, 178),
    "purple": (150, 94, 200),
}

_ACROSS = ("moves_left", "moves_right")
_DEPTH = ("comes_closer", "goes_away")


@dataclass(frozen=True)
class Subject:
    """A kind of subject with its plausible colours, scenes and actions."""

    name: str
    colours: tuple[str, ...]
    scenes: tuple[str, ...]
    actions: tuple[str, ...]
    turns: bool
    """True if it turns round to move the other way."""
    rests_on_ground: bool


SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject(
            "cat",
            ("white", "black", "orange", "grey"),
            ("room", "meadow", "beach"),
            (*_ACROSS, "jumps", *_DEPTH, "stays"),
            turns=False,
            rests_on_ground=True,
        ),
        Subject(
            "person",
            ("red", "blue", "green", "yellow"),
            ("room", "road", "meadow", "beach"),
            (*_ACROSS, "jumps", *_DEPTH, "stays"),
            turns=False,
            rests_on_ground=True,
        ),
        Subject(
            "car",
            ("red", "blue", "yellow", "white", "green"),
            ("road", "meadow", "beach"),
            (*_ACROSS, *_DEPTH, "stays"),
            turns=False,
            rests_on_ground=True,
        ),
        Subject(
            "dolphin",
            ("grey", "blue", "pink"),
            ("sea", "reef"),
            (*_ACROSS, "jumps", "rises", "sinks", *_DEPTH, "stays"),
            turns=True,
            rests_on_ground=False,
        ),
        Subject(
            "boat",
            ("red", "blue", "white", "green"),
            ("sea", "lake"),
            (*_ACROSS, *_DEPTH, "stays"),
            turns=False,
            rests_on_ground=False,
        ),
        Subject(
            "bird",
            ("red", "blue", "yellow", "black"),
            ("sky", "meadow", "lake"),
            (*_ACROSS, "rises", "sinks", *_DEPTH, "stays"),
            turns=False,
            rests_on_ground=False,
        ),
        Subject(
            "ball",
            ("red", "blue", "green", "purple"),
            ("room", "meadow", "beach"),
            (*_ACROSS, "jumps", *_DEPTH, "stays"),
            turns=False,
            rests_on_ground=True,
        ),
        Subject(
            "fish",
            ("orange", "yellow", "red", "purple"),
            ("reef",),
            (*_ACROSS, "rises", "sinks", *_DEPTH, "stays"),
            turns=True,
            rests_on_ground=False,
        ),
    )
}


def is_plausible(subject: str, scene: str, action: str) -> bool:
    """Return True if `subject` can do `action` in `scene`."""
    rules = SUBJECTS[subject]
    return scene in rules.scenes and action in rules.actions
