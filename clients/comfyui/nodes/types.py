"""Names of the pack's link types, and the shape of a node's table of inputs."""

from typing import Any

SERVER = "STILLCUE_SERVER"
PICTURE = "STILLCUE_PICTURE"
CLIP = "STILLCUE_CLIP"
CATEGORY = "Stillcue"
InputTypes = dict[str, dict[str, Any]]
