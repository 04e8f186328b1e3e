"""Stillcue in ComfyUI: nodes that have one picture and one sentence made into video by a Stillcue server.

This folder is a pack of custom nodes. Only ``host`` names ComfyUI's own modules; the package ``stillcue`` is imported
when a node runs, so that ComfyUI starts and lists the nodes without it.
"""

from .capabilities_route import add_capabilities_route
from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

WEB_DIRECTORY = "./web"

add_capabilities_route()

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
