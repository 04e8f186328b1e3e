"""Cancel through a real ComfyUI: graph calls that the server still makes after the click.

    COMFYUI=folder python -m benchmarks.comfyui_cancel --json FILE [--cancels 12]

Each run is interrupted by POST /interrupt, which is what the front end's button sends, once its bar has reached a
place; the places are spread over steps and decoded frames. ``*_calls_after`` counts the steps and the decoded groups of
frames that the server finished after the click; the call that runs at the click may finish. The server's counters are
read before the click, so that a call which ends in between counts as well. ``*_seconds`` is the time from the click to
the idle engine, ``*_step_seconds`` the duration of a step.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.comfyui import Case, graph_of, picture_of, running_comfy, served_bundle
from benchmarks.report import Report
from tests.checkpoints import TinyModel
from tests.comfyui.comfy import Comfy, Graph
from tests.comfyui.listener import Message
from tests.comfyui.serving_process import ServingProcess, serving

CASES = (
    Case("pocket_64x64x17", 64, 64, 17, 100),
    Case("random_480x272x17", 480, 272, 17, 12, TinyModel()),
)
_TARGET_CALLS = 1
_FRAMES_OF_A_CALL = 4
_EXPERTS = ("high_noise", "low_noise")


def main() -> None:
    """Measures both cases, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comfyui_cancel")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--cancels", type=int, default=12, help="cancels of each case")
    options = parser.parse_args()
    figures: dict[str, float] = {"cancel_count": options.cancels}
    with running_comfy() as comfy:
        for case in CASES:
            figures |= _measure(comfy, case, options.cancels)
    targets = {f"{case.name}_most_calls_after": _TARGET_CALLS for case in CASES}
    report = Report("comfyui_cancel", figures, targets)
    report.show()
    report.write(options.json)


def _measure(comfy: Comfy, case: Case, cancel_count: int) -> dict[str, float]:
    with ExitStack() as stack:
        bundle = stack.enter_context(served_bundle(case))
        server = stack.enter_context(serving("--bundle", str(bundle)))
        name, _ = picture_of(comfy, case)
        calls, seconds = [], []
        for number in range(cancel_count):
            place = case.step_count * (number + 0.5) / cancel_count
            if number % 4 == 3:  # in the decode: the bar counts frames after the steps
                place = case.step_count + 1 + 4 * (number // 4 % 3)
            graph = graph_of(case, server.address, name, seed=number)
            after, until_idle = _cancel_at(comfy, server, graph, place)
            calls.append(after)
            seconds.append(until_idle)
        last = server.samples()
        step_seconds = _of_both_experts(last, "denoise_step_seconds_sum") / _of_both_experts(
            last, "denoise_step_seconds_count"
        )
    return {
        f"{case.name}_most_calls_after": max(calls),
        f"{case.name}_mean_calls_after": statistics.mean(calls),
        f"{case.name}_median_seconds": statistics.median(seconds),
        f"{case.name}_most_seconds": max(seconds),
        f"{case.name}_step_seconds": step_seconds,
    }


def _cancel_at(comfy: Comfy, server: ServingProcess, graph: Graph, place: float) -> tuple[float, float]:
    """Returns the graph calls that ended after the click, and the seconds from the click to the idle engine."""
    ended = server.sample('jobs_total{outcome="cancelled"}')
    with comfy.listen() as listener:
        prompt_id = comfy.submit(graph, client_id=listener.client_id)

        def is_there(message: Message) -> bool:
            data = message.data
            if message.kind == "execution_error":
                raise SystemExit(f"ComfyUI's run failed: {data['exception_message']}")
            return message.kind == "progress" and data["prompt_id"] == prompt_id and data["value"] >= place

        listener.wait_for(is_there, timeout_seconds=600)
        before = _calls(server.samples())
        clicked = time.perf_counter()
        comfy.interrupt()
        server.reaches('jobs_total{outcome="cancelled"}', ended + 1)
        server.reaches("running_jobs", 0)
        seconds = time.perf_counter() - clicked
        if not comfy.wait(prompt_id, listener).is_interrupted:
            raise SystemExit("ComfyUI's run was not interrupted")
    return _calls(server.samples()) - before, seconds


def _calls(samples: Mapping[str, float]) -> float:
    # The first frame is decoded by a call of its own; it is sent before the decode that this counts.
    return _of_both_experts(samples, "denoise_step_seconds_count") + (
        samples["frame_interval_seconds_count"] / _FRAMES_OF_A_CALL
    )


def _of_both_experts(samples: Mapping[str, float], name: str) -> float:
    return sum(samples.get(f'{name}{{expert="{expert}"}}', 0.0) for expert in _EXPERTS)


if __name__ == "__main__":
    main()
