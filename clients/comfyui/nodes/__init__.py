"""The tables from which ComfyUI reads the pack's nodes."""

from .diagnosis import Diagnosis
from .generate_video import GenerateVideo
from .match_score import MatchScore
from .prepare_picture import PreparePicture
from .stillcue_server import StillcueServer

NODE_CLASS_MAPPINGS: dict[str, type] = {
    "StillcueServer": StillcueServer,
    "StillcuePreparePicture": PreparePicture,
    "StillcueMatchScore": MatchScore,
    "StillcueGenerateVideo": GenerateVideo,
    "StillcueDiagnosis": Diagnosis,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "StillcueServer": "Stillcue Server",
    "StillcuePreparePicture": "Prepare Picture",
    "StillcueMatchScore": "Match Score",
    "StillcueGenerateVideo": "Generate Video",
    "StillcueDiagnosis": "Diagnosis",
}
