"""The node that names a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NodeError
from ..wheel import require_wheel
from .types import CATEGORY, SERVER, InputTypes

if TYPE_CHECKING:
    from ..server_link import ServerLink


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

    @classmethod
    def IS_CHANGED(cls, address: str | None = None, tls: str | None = None) -> str:  # noqa: N802
        """Returns the digest of the server's model, so that a clip is made again when the model is another one.

        ComfyUI does not tell here what a link brings: behind one, another model is not noticed.
        """
        if address is None or tls is None:
            return ""
        try:
            require_wheel()
        except NodeError:
            return ""
        from ..connection import fingerprint
        from ..server_link import ServerLink

        return fingerprint(ServerLink(address.strip(), tls))

    def connect(self, address: str, tls: str) -> tuple[ServerLink]:
        """Returns the server; makes no call to it."""
        require_wheel()
        from ..connection import client_of
        from ..server_link import ServerLink

        link = ServerLink(address.strip(), tls)
        client_of(link)  # a wrong address or servers.toml is told here
        return (link,)
