"""Where the VIDEO of a clip comes from: from the exact frames, or from a file that the server encodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillcue import VideoCodec, VideoContainer

from .choices import AV1, FROM_THE_FRAMES, H264
from .errors import NodeError

if TYPE_CHECKING:
    from stillcue import Capabilities
    from stillcue.request import GenerateOptions

    from .server_link import ServerLink

CODEC_BY_CHOICE = {H264: VideoCodec.H264, AV1: VideoCodec.AV1}


@dataclass(frozen=True)
class VideoSource:
    """``codec`` None: the frames. Without ``wants_frames`` the server sends the file only."""

    codec: VideoCodec | None
    wants_frames: bool

    @property
    def options(self) -> GenerateOptions:
        """The options of ``generate``."""
        if self.codec is None:
            return {}
        return {
            "video_container": VideoContainer.FRAGMENTED_MP4,
            "video_codec": self.codec,
            "omit_frames": not self.wants_frames,
        }


def video_source(choice: str, *, wants_frames: bool, capabilities: Capabilities, link: ServerLink) -> VideoSource:
    """Returns the source for a choice of the node. Raises ``NodeError`` for a codec that the server does not have."""
    if choice == FROM_THE_FRAMES:
        return VideoSource(None, wants_frames=True)
    offered = offered_choices(capabilities)
    if choice not in offered:
        others = " or ".join(f"“{name}”" for name in offered)
        raise NodeError(f"video is “{choice}”, but the server at {link.address} does not encode it; choose {others}")
    return VideoSource(CODEC_BY_CHOICE[choice], wants_frames)


def offered_choices(capabilities: Capabilities) -> list[str]:
    """Returns the choices of the input ``video`` that a server offers."""
    codecs = capabilities.video_codecs
    return [FROM_THE_FRAMES, *(name for name, codec in CODEC_BY_CHOICE.items() if codec in codecs)]


def wants_frames(graph: dict[str, Any], node_id: str, frames_slot: int) -> bool:
    """Returns True if a node of the graph uses the frames of a node; also for a node that the graph does not have."""
    if node_id not in graph:
        return True
    links = [value for node in graph.values() for value in node.get("inputs", {}).values()]
    return [node_id, frames_slot] in links
