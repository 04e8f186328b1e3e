"""Reuse of denoising steps through a real server: what is asked, what is done, what is told and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.api.reuse import StepReuse
from engine.api.settings import EngineSettings
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.lifecycle import engine_factory
from server.lifecycle.engine_factory import launch_engine
from server.settings import Settings
from stillcue.v1 import generate_pb2
from tests.serving import generate_request, read_all, served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.api.engine import Engine

FULL, GUIDANCE_REUSED, REUSED = (
    generate_pb2.STEP_WORK_FULL,
    generate_pb2.STEP_WORK_GUIDANCE_REUSED,
    generate_pb2.STEP_WORK_REUSED,
)
OFF, BALANCED, FAST = (
    generate_pb2.STEP_REUSE_OFF,
    generate_pb2.STEP_REUSE_BALANCED,
    generate_pb2.STEP_REUSE_FAST,
)


def asking(step_count: int, reuse: generate_pb2.StepReuse) -> generate_pb2.GenerateRequest:
    sampling = generate_pb2.SamplingSpec(step_count=step_count, step_reuse=reuse)
    return generate_request(sampling=sampling)


def works_of(messages: Iterable[generate_pb2.GenerateResponse]) -> list[generate_pb2.StepWork]:
    return [message.denoise_progress.work for message in messages if message.HasField("denoise_progress")]


@pytest.mark.parametrize(
    ("reuse", "works"),
    [
        (OFF, [FULL] * 12),
        (BALANCED, [FULL, GUIDANCE_REUSED, REUSED] * 3 + [FULL, GUIDANCE_REUSED, FULL]),
        (FAST, [FULL, REUSED] * 5 + [FULL, FULL]),
    ],
)
async def test_every_step_and_the_summary_tell_what_was_computed(
    reuse: generate_pb2.StepReuse, works: list[generate_pb2.StepWork]
) -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(asking(12, reuse)))
        samples = await server.samples()
    summary = messages[-1].summary
    assert works_of(messages) == works
    assert {item.work: item.count for item in summary.step_counts} == Counter(works)
    assert [item.work for item in summary.step_counts] == sorted(set(works))
    assert messages[0].accepted.settings.step_reuse == summary.settings.step_reuse == reuse
    assert list(summary.warnings) == []
    counted = {
        FULL: ("full", Counter(works)[FULL]),
        GUIDANCE_REUSED: ("guidance_reused", Counter(works)[GUIDANCE_REUSED]),
        REUSED: ("reused", Counter(works)[REUSED]),
    }
    for name, count in counted.values():
        found = [
            samples.get(f"stillcue_denoise_step_seconds_count{{expert={expert},work={name}}}", 0.0)
            for expert in ("high_noise", "low_noise")
        ]
        assert sum(found) == count


@pytest.mark.parametrize(
    ("capabilities", "step_count", "reason"),
    [
        (FAKE_CAPABILITIES, 4, "it needs at least 10 steps, this clip has 4"),
        (replace(FAKE_CAPABILITIES, reuse_supported=False), 12, "this model is distilled for few steps"),
    ],
    ids=["few steps", "not supported"],
)
async def test_where_reuse_has_no_effect_the_settings_say_off_and_a_warning_says_why(
    capabilities: object, step_count: int, reason: str
) -> None:
    async with served(FakeEngine(capabilities=capabilities)) as server:  # type: ignore[arg-type]
        messages = await read_all(server.stub.Generate(asking(step_count, FAST)))
    summary = messages[-1].summary
    assert messages[0].accepted.settings.step_reuse == summary.settings.step_reuse == OFF
    assert works_of(messages) == [FULL] * step_count
    (warning,) = summary.warnings
    assert reason in warning


def opened(**settings: str) -> Engine:
    return launch_engine(Settings(engine_process="server", **settings))()  # type: ignore[arg-type]


async def test_the_servers_default_holds_for_requests_that_say_nothing() -> None:
    engine = opened(engine="fake", step_reuse="balanced")
    assert engine.capabilities().defaults.reuse is StepReuse.BALANCED
    async with served(engine) as server:
        silent = await read_all(server.stub.Generate(asking(12, generate_pb2.STEP_REUSE_UNSPECIFIED)))
        off = await read_all(server.stub.Generate(asking(12, OFF)))
    assert (silent[0].accepted.settings.step_reuse, works_of(silent).count(FULL)) == (BALANCED, 5)
    assert (off[0].accepted.settings.step_reuse, works_of(off).count(FULL)) == (OFF, 12)


def test_the_servers_default_reaches_the_engine_of_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[EngineSettings] = []

    def open_engine(_bundle: Path, settings: EngineSettings) -> Engine:
        seen.append(settings)
        return FakeEngine()

    monkeypatch.setattr(engine_factory, "open_engine", open_engine)
    launch_engine(Settings(bundle=Path("bundles/pocket"), engine_process="server", step_reuse="fast"))()
    launch_engine(Settings(bundle=Path("bundles/pocket"), engine_process="server"))()
    assert [settings.reuse for settings in seen] == [StepReuse.FAST, StepReuse.OFF]
