"""``GET /stillcue/capabilities?address=…&tls=…``: what a server offers, for the choices that the front end shows."""

from __future__ import annotations

import asyncio
from typing import Any

from . import host
from .choices import NO_STEP_REUSE, STEP_REUSES
from .errors import NodeError
from .wheel import require_wheel

PATH = "/stillcue/capabilities"


def add_capabilities_route() -> None:
    """Adds the route to ComfyUI's server."""
    host.add_route(PATH, answer)


async def answer(query: dict[str, str]) -> dict[str, Any]:
    """Returns what the server of the query offers, or ``error``: a sentence with the remedy."""
    try:
        require_wheel()
        return await asyncio.to_thread(_offered, query.get("address", ""), query.get("tls", "auto"))
    except NodeError as error:
        return {"error": str(error)}


def _offered(address: str, tls: str) -> dict[str, Any]:
    import stillcue

    from .clip_length import chain_frame_counts
    from .connection import FINGERPRINT_SECONDS, new_client
    from .node_errors import node_error
    from .server_link import ServerLink
    from .video_source import offered_choices
    from .wheel import check_server_version

    link = ServerLink(address.strip(), tls)
    try:
        with new_client(link) as client:
            found = client.capabilities(timeout_seconds=FINGERPRINT_SECONDS)
    except stillcue.StillcueError as error:
        raise node_error(error, link) from error
    check_server_version(found.server_version, link.address)
    sizes = dict.fromkeys((item.width_px, item.height_px) for item in found.geometries)
    defaults, limits = found.sampling_defaults, found.limits
    return {
        "server_version": found.server_version,
        "model": found.model.name,
        "match_supported": found.match_supported,
        "notices": list(found.notices),
        "sizes": [f"{width}x{height}" for width, height in sizes],
        "frame_counts": sorted({item.frame_count for item in found.geometries}),
        "chain_frame_counts": chain_frame_counts(found),
        "geometries": [
            {"size": f"{item.width_px}x{item.height_px}", "frames": item.frame_count} for item in found.geometries
        ],
        "video": offered_choices(found),
        "step_reuse": list(STEP_REUSES if found.step_reuse_supported else NO_STEP_REUSE),
        "device": found.device,
        "defaults": {
            "frames": found.geometries[0].frame_count if found.geometries else 0,
            "frame_rate": defaults.frame_rate,
            "steps": defaults.step_count,
            "guidance": defaults.guidance_scale,
            "guidance_low_noise": defaults.guidance_scale_low_noise,
            "shift": defaults.shift,
            "negative_prompt": defaults.negative_prompt,
            "step_reuse": defaults.step_reuse.value,
        },
        "limits": {
            "max_image_bytes": limits.max_image_bytes,
            "max_image_pixel_count": limits.max_image_pixel_count,
            "max_steps": limits.max_step_count,
            "max_prompt_characters": limits.max_prompt_character_count,
        },
    }
