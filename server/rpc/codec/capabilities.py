"""Capabilities become the answer of GetCapabilities."""

from __future__ import annotations

from collections.abc import Iterable

from engine.api.capabilities import Capabilities, Geometry, MemoryPlan, StageMemory
from engine.api.video import VideoCodec
from server import __version__
from server.rpc.codec.attempts import encode_support
from server.rpc.codec.enums import (
    WIRE_EXPERTS,
    WIRE_FAMILIES,
    WIRE_FRAME_ENCODINGS,
    WIRE_STAGES,
    WIRE_STEP_REUSES,
    WIRE_VIDEO_CODECS,
)
from server.rpc.codec.segments import encode_chain_support
from stillcue.v1 import capabilities_pb2


def capabilities_response(
    capabilities: Capabilities, queue_capacity: int, video_codecs: Iterable[VideoCodec]
) -> capabilities_pb2.GetCapabilitiesResponse:
    """The answer of GetCapabilities."""
    defaults, limits = capabilities.defaults, capabilities.limits
    return capabilities_pb2.GetCapabilitiesResponse(
        server_version=__version__,
        model=capabilities_pb2.Model(
            name=capabilities.model_name,
            family=WIRE_FAMILIES[capabilities.family],
            bundle_digest=capabilities.bundle_digest,
            checkpoint_digest=capabilities.checkpoint_digest,
            runtime=capabilities.runtime,
            license=capabilities.license,
        ),
        geometries=[_encode_geometry(item) for item in capabilities.geometries],
        sampling_defaults=capabilities_pb2.SamplingDefaults(
            step_count=defaults.step_count,
            guidance_scale=defaults.guidance_scale,
            guidance_scale_low_noise=defaults.guidance_scale_low_noise,
            shift=defaults.shift,
            frame_rate=defaults.frame_rate,
            negative_prompt=defaults.negative_prompt,
            step_reuse=WIRE_STEP_REUSES[defaults.reuse],
        ),
        limits=capabilities_pb2.Limits(
            max_image_bytes=limits.max_image_bytes,
            max_image_pixel_count=limits.max_image_pixel_count,
            max_step_count=limits.max_step_count,
            max_prompt_character_count=limits.max_prompt_character_count,
            queue_capacity=queue_capacity,
        ),
        match_supported=capabilities.match_supported,
        frame_encodings=list(WIRE_FRAME_ENCODINGS.values()),
        notices=capabilities.notices,
        memory_budget_bytes=capabilities.memory_budget_bytes,
        memory_plans=[_encode_memory_plan(plan) for plan in capabilities.memory_plans],
        video_codecs=[WIRE_VIDEO_CODECS[codec] for codec in video_codecs],
        attempts=None if capabilities.accept_from is None else encode_support(capabilities.accept_from),
        step_reuse_supported=capabilities.reuse_supported,
        device=capabilities.device,
        chains=encode_chain_support(capabilities),
    )


def _encode_geometry(geometry: Geometry) -> capabilities_pb2.Geometry:
    return capabilities_pb2.Geometry(
        width_px=geometry.width_px, height_px=geometry.height_px, frame_count=geometry.frame_count
    )


def _encode_memory_plan(plan: MemoryPlan) -> capabilities_pb2.MemoryPlan:
    return capabilities_pb2.MemoryPlan(
        geometry=_encode_geometry(plan.geometry),
        stages=[_encode_stage_memory(stage) for stage in plan.stages],
        peak_bytes=plan.peak_bytes,
        swapped_graphs=plan.swapped,
    )


def _encode_stage_memory(memory: StageMemory) -> capabilities_pb2.StageMemory:
    return capabilities_pb2.StageMemory(
        stage=WIRE_STAGES[memory.stage],
        expert=WIRE_EXPERTS[memory.expert] if memory.expert else None,
        resident_graphs=memory.resident,
        loaded_graphs=memory.loaded,
        prefetched_graphs=memory.prefetched,
        weight_bytes=memory.weight_bytes,
        scratch_bytes=memory.scratch_bytes,
        buffer_bytes=memory.buffer_bytes,
        peak_bytes=memory.peak_bytes,
    )
