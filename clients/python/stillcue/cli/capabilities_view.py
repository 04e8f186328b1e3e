"""What a server has loaded, as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillcue.capabilities import Capabilities


def describe_capabilities(found: Capabilities) -> str:
    """Returns what a server has loaded, one subject a line."""
    model, defaults, limits = found.model, found.sampling_defaults, found.limits
    sizes = (f"{item.width_px}x{item.height_px}, {item.frame_count} frames" for item in found.geometries)
    low_noise = defaults.guidance_scale_low_noise
    lines = [
        f"server     {found.server_version}",
        f"model      {model.name} ({model.family}), {model.license or 'licence not stated'}",
        f"runtime    {model.runtime}",
        *([f"device     {found.device}"] if found.device else []),
        f"bundle     {model.bundle_digest}",
        f"checkpoint {model.checkpoint_digest}",
        *(f"{'sizes' if number == 0 else '':<10} {size}" for number, size in enumerate(sizes)),
        f"defaults   {defaults.step_count} steps, guidance {defaults.guidance_scale:g}"
        + (f" and {low_noise:g}" if low_noise is not None else "")
        + f", shift {defaults.shift:g}, {defaults.frame_rate:g} frames/s",
        f"limits     {limits.max_image_bytes} bytes and {limits.max_image_pixel_count} pixels a picture, "
        f"{limits.max_step_count} steps, {limits.max_prompt_character_count} characters, "
        f"{limits.queue_capacity} jobs in the queue",
        *_describe_memory(found),
        f"video      {', '.join(found.video_codecs) or 'not encoded: frames only'}",
        f"attempts   {_describe_attempts(found)}",
        f"reuse      {_describe_reuse(found)}",
        f"chains     {_describe_chains(found)}",
        f"match      {'scored' if found.match_supported else 'not scored: this bundle holds no scorer'}",
        *(f"note       {notice}" for notice in found.notices),
    ]
    return "\n".join(lines)


def _describe_attempts(found: Capabilities) -> str:
    support = found.attempts
    if support is None:
        return "one a clip: this bundle has no fitted success of clips"
    return f"up to {support.maximum_count} a clip, accepted from {100 * support.accept_from:.0f} % on"


def _describe_reuse(found: Capabilities) -> str:
    if not found.step_reuse_supported:
        return "none: every step is computed"
    return f"{found.sampling_defaults.step_reuse} unless the request says otherwise"


def _describe_chains(found: Capabilities) -> str:
    support = found.chains
    if support is None:
        return "not stated: this server is older than this client"
    given = support.given_frame_count
    frames = "the last frame" if given == 1 else f"the last {given} frames"
    return (
        f"clips of up to {support.max_frame_count} frames in {support.max_segment_count} segments; each begins with "
        f"{frames} of the one before"
    )


def _describe_memory(found: Capabilities) -> Iterator[str]:
    """Yields lines on the largest memory plan and on the graphs that every job loads."""
    if not found.memory_plans:
        return
    plan = max(found.memory_plans, key=lambda item: item.peak_bytes)
    budget = found.memory_budget_bytes
    limit = "no limit kept" if budget is None else f"of {budget / 1e9:.2f} GB"
    yield f"memory     {plan.peak_bytes / 1e9:.2f} GB planned, {limit}"
    if plan.swapped_graphs:
        yield f"{'':<10} loaded in every job: {', '.join(plan.swapped_graphs)}"
