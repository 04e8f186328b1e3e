"""Names of the link types of the pack, the shape of a node's table of inputs, and inputs that several nodes have."""

from typing import Any

SERVER = "STILLCUE_SERVER"
PICTURE = "STILLCUE_PICTURE"
CLIP = "STILLCUE_CLIP"
CATEGORY = "Stillcue"
InputTypes = dict[str, dict[str, Any]]

SERVER_INPUT = (SERVER, {"tooltip": "From a Stillcue Server node."})
SENTENCE_INPUT = (
    "STRING",
    {
        "default": "",
        "multiline": True,
        "tooltip": "The sentence: the subject as the picture shows it, then one or two actions, the place, the camera.",
    },
)
