"""The node that names a server."""

from __future__ import annotations

from typing import ClassVar

from .types import CATEGORY, SERVER, InputTypes


class StillcueServer:
    """Names the server for the nodes that are linked to it. Tokens and certificates stay in ``servers.toml``."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "The Stillcue server that makes the clips. A token or a certificate that it asks for stands in "
        "~/.config/stillcue/servers.toml, under the server's address, and never in the workflow."
    )
    FUNCTION = "connect"
    RETURN_TYPES = (SERVER,)
    RETURN_NAMES = ("server",)
    OUTPUT_TOOLTIPS = ("Link it to the other Stillcue nodes.",)
    SEARCH_ALIASES: ClassVar = ["wan2.2", "image to video", "i2v"]

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:  # noqa: N802
        """Returns the inputs of the node."""
        return {
            "required": {
                "address": (
                    "STRING",
                    {"default": "localhost:50051", "tooltip": "host:port of the server, or unix:/path/of/the/socket."},
                ),
                "tls": (
                    ["auto", "on", "off"],
                    {
                        "default": "auto",
                        "tooltip": "auto: no encryption to this machine, TLS to any other. off: no encryption; a "
                        "token is then sent to this machine only.",
                    },
                ),
            }
        }

    def connect(self, address: str, tls: str) -> tuple[object]:
        """Returns the server."""
        raise NotImplementedError
