"""A scripted server of the version that the pack works with, with a picture of the clip's size as its crop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stillcue import __version__
from tests.comfyui.conftest import gradient_png
from tests.scripted_server import CAPABILITIES, HEIGHT_PX, WIDTH_PX, ScriptedServer

if TYPE_CHECKING:
    from stillcue.v1 import capabilities_pb2, media_pb2


@dataclass
class PackServer(ScriptedServer):
    """``capability_changes`` replace fields of the scripted capabilities; an older server states no ``chains``."""

    crop_png: bytes = field(default_factory=lambda: gradient_png(WIDTH_PX, HEIGHT_PX))
    capability_changes: dict[str, Any] = field(default_factory=dict)
    video_codecs: list[media_pb2.VideoCodec] = field(default_factory=list)
    knows_chains: bool = True

    def GetCapabilities(
        self, request: capabilities_pb2.GetCapabilitiesRequest, context: Any
    ) -> capabilities_pb2.GetCapabilitiesResponse:
        super().GetCapabilities(request, context)
        answer = type(CAPABILITIES)()
        answer.CopyFrom(CAPABILITIES)
        answer.server_version = __version__
        del answer.video_codecs[:]
        answer.video_codecs.extend(self.video_codecs)
        if not self.knows_chains:
            answer.ClearField("chains")
        for name, value in self.capability_changes.items():
            if hasattr(value, "DESCRIPTOR"):
                getattr(answer, name).MergeFrom(value)
            else:
                setattr(answer, name, value)
        return answer
