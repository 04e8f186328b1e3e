"""The model at run time: numpy and a graph runtime, without gRPC, torch or the server.

The life of a clip:

1. ``open_engine`` reads a bundle's manifest (``bundle/``), chooses a runtime (``runtime/``), plans which graphs fit in
   memory (``memory/``), compares files with their digests and loads graphs.
2. ``Engine.prepare`` checks every field of a job and brings its picture to the size of the clip (``preparation/``,
   ``media/``).
3. ``Engine.generate`` scores picture and prompt (``matching/``), encodes both, denoises, decodes frame after frame
   (``generate/``), and judges the finished clip (``analysis/diagnosis/``).

Folders, top layer first; each imports only from those below it:

=================  ======================================================================================
``worker/``        runs an engine in a process of its own and restarts that process when it dies
``testing/``       an engine without a model, whose frames can be computed by hand
``generate/``      the life of a clip: text and image encoding, denoising, decoding
``matching/``      the match report: score, clauses, place of the subject
``preparation/``   the rules of every field of a job; defaults; the prepared picture
``analysis/``      rules without a model: findings on prompts and pictures, diagnosis of clips
``memory/``        the memory plan: which graphs are loaded when, and what would fit
``runtime/``       ONNX Runtime and TensorRT behind one protocol
``media/``         decoding pictures, cropping, encoding frames and video files
``bundle/``        the folder that the exporter writes: manifest, digests, tokenizers
``api/``           the contract with callers: jobs, events, reports, errors, the ``Engine`` protocol
``host/``          processors that the process may use; variables that libraries read as they are imported
=================  ======================================================================================

The server imports ``engine`` and ``engine.api`` only. The functions below import their implementation when called, so
importing ``engine`` loads no model library.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.api.job import ClipPlan
from engine.api.reuse import StepReuse
from engine.api.settings import EngineSettings, WorkerSettings
from engine.host.libraries import configure_libraries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction
    from pathlib import Path

    from engine.api.capabilities import Capabilities
    from engine.api.engine import Engine
    from engine.api.match_report import MatchReport
    from engine.api.media import FrameEncoding, Image, Pixels
    from engine.api.video import VideoEncoder, VideoSupport

configure_libraries()  # before any of them is imported


def open_engine(bundle: Path, settings: EngineSettings = EngineSettings()) -> Engine:
    """Opens a bundle folder as an engine in this process.

    Raises ``BundleInvalid`` if the folder, its manifest or one of its files is missing, damaged or of another version,
    if the bundle does not fit the memory budget, or if this machine lacks what the bundle needs.
    """
    from engine.generate.opening import open_bundle

    return open_bundle(bundle, settings)


def launch_worker_engine(
    opener: Callable[[], Engine], settings: WorkerSettings = WorkerSettings()
) -> Callable[[], Engine]:
    """Starts a worker process, in which ``opener`` opens an engine. The returned function waits for that engine.

    ``opener`` must be picklable: a module function, or a partial of one. The function raises what ``opener`` raises;
    the ``supervision()`` of its engine is not None.
    """
    from engine.worker.engine import WorkerEngine

    return WorkerEngine(opener, settings).open


def fake_engine(reuse: StepReuse = StepReuse.OFF) -> Engine:
    """An engine without a model, whose outputs can be computed by hand; see ``engine.testing.fake_engine``.

    ``reuse`` holds for jobs that ask for none.
    """
    from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine

    defaults = replace(FAKE_CAPABILITIES.defaults, reuse=reuse)
    return FakeEngine(capabilities=replace(FAKE_CAPABILITIES, defaults=defaults))


def encode_frame(pixels: Pixels, encoding: FrameEncoding) -> bytes | memoryview:
    """Encodes one frame, uint8 [height, width, 3].

    ``RAW_RGB`` returns the height · width · 3 bytes of ``pixels`` itself, without a copy if they are contiguous.
    """
    from engine.media.encode import encode_frame as encode

    return encode(pixels, encoding)


def find_video_support(names: Sequence[str]) -> VideoSupport:
    """Which of these encoders work on this machine, keys of ``engine.api.video.VIDEO_ENCODERS``; each is opened once.

    The first use imports PyAV and takes a few tenths of a second.
    """
    from engine.media.video.choice import find_support

    return find_support(names)


def check_video(encoder: str, width_px: int, height_px: int, frame_rate: Fraction) -> None:
    """Raises ``VideoFailed`` where an encoder does not open for clips of this size and rate."""
    from engine.media.video.choice import check_size

    check_size(encoder, width_px, height_px, frame_rate)


def open_video_encoder(encoder: str, width_px: int, height_px: int, frame_rate: Fraction) -> VideoEncoder:
    """An encoder for one clip, to be closed after its last frame. Raises ``VideoFailed``."""
    from engine.media.video.choice import open_encoder

    return open_encoder(encoder, width_px, height_px, frame_rate)


def render_heat_map(report: MatchReport) -> bytes:
    """The heat map of a report as a grey PNG with the picture's aspect, longest side 512 px; empty without one."""
    from engine.media.rendering import render_heat_map as render

    return render(report)


def render_crop(image: Image, report: MatchReport, plan: ClipPlan, capabilities: Capabilities) -> bytes:
    """The picture, as PNG, from which a clip of that plan starts; without a fit in the plan, by ``CROP_SUBJECT``.

    ``image`` and ``plan`` must be those that the report was made from. Raises ``InvalidJob`` where the fit is
    ``REFUSE`` and the picture has another aspect.
    """
    from engine.preparation.fitted_picture import render_crop as render

    return render(image, report, plan, capabilities)
