"""Panels for the question "is memory about to run out?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import SERVER, increase, rate
from deploy.grafana.panels import Lines, Query

MEMORY = Question(
    "Is memory about to run out?",
    (
        Lines(
            "GPU memory",
            "`stillcue_gpu_memory_used_bytes`, `stillcue_gpu_memory_total_bytes`: use by all processes. Above 97 %: "
            "StillcueGpuMemoryFull in docs/operations.md.",
            (
                Query(f"stillcue_gpu_memory_used_bytes{{{SERVER}}}", "{{instance}} {{gpu}} used"),
                Query(f"stillcue_gpu_memory_total_bytes{{{SERVER}}}", "{{instance}} {{gpu}} total"),
            ),
            unit="bytes",
        ),
        Lines(
            "Plan, budget and peak of the engine",
            "`stillcue_memory_planned_bytes`, `stillcue_memory_budget_bytes`, `stillcue_gpu_memory_peak_bytes`: a peak "
            "above the plan: the plan is wrong, lower `--memory-budget-bytes` and report it.",
            (
                Query(f"stillcue_memory_planned_bytes{{{SERVER}}}", "{{instance}} planned"),
                Query(f"stillcue_memory_budget_bytes{{{SERVER}}} < +Inf", "{{instance}} budget"),
                Query(f"stillcue_gpu_memory_peak_bytes{{{SERVER}}}", "{{instance}} peak of the last clip"),
            ),
            unit="bytes",
        ),
        Lines(
            "Out of memory",
            "`stillcue_gpu_oom_total`: should stay at 0. Otherwise another process uses the GPU, or the budget is too "
            "high.",
            (Query(increase("stillcue_gpu_oom_total", "instance"), "{{instance}}"),),
        ),
        Lines(
            "Memory of the host",
            "`process_resident_memory_bytes`, `stillcue_worker_resident_memory_bytes`: the server's memory grows with "
            "slow readers and falls again; its engine's is constant. A line that only rises is a leak: restart the "
            "server and report it.",
            (
                Query(f'process_resident_memory_bytes{{job="stillcue", {SERVER}}}', "{{instance}} server"),
                Query(f"stillcue_worker_resident_memory_bytes{{{SERVER}}}", "{{instance}} engine"),
            ),
            unit="bytes",
        ),
        Lines(
            "Open files and sockets",
            "`process_open_fds`, `process_max_fds`: near 100 % new connections fail; raise the limit, look for clients "
            "that open a channel for each call.",
            (
                Query(
                    f'process_open_fds{{job="stillcue", {SERVER}}} / process_max_fds{{job="stillcue", {SERVER}}}',
                    "{{instance}}",
                ),
            ),
            unit="percentunit",
            thresholds=((0.8, "orange"),),
        ),
        Lines(
            "Cores in use",
            "`process_cpu_seconds_total`: CPU cores that the server's process uses, without the worker process. "
            "Should stay low; encoding frames takes most of it.",
            (Query(rate("process_cpu_seconds_total", "instance", 'job="stillcue"'), "{{instance}}"),),
        ),
    ),
)
