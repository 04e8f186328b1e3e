"""Panels for the question "who gives up, and how fast is the engine free again?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import OUR_CALLS, SERVER, increase, quantiles, rate
from deploy.grafana.panels import Lines, Query

CANCELS = Question(
    "Who gives up, and how fast is the engine free again?",
    (
        Lines(
            "Jobs given up by callers",
            "`stillcue_jobs_total`: `cancelled` and `deadline_exceeded` by callers, `reader_stalled` and `buffer_full` "
            "because callers did not read. Compare with the waits above.",
            (
                Query(
                    increase(
                        "stillcue_jobs_total",
                        "outcome",
                        'outcome=~"cancelled|deadline_exceeded|reader_stalled|buffer_full"',
                    ),
                    "{{outcome}}",
                ),
            ),
            is_stacked=True,
        ),
        Lines(
            "Time from cancel to idle engine",
            "`stillcue_cancel_latency_seconds`: at most one graph call, so about a step. Longer: StillcueCancelSlow in "
            "docs/operations.md.",
            quantiles("stillcue_cancel_latency_seconds"),
            unit="s",
            has_exemplars=True,
        ),
        Lines(
            "Wait of messages for their reader",
            "`stillcue_stream_stall_seconds`: p95 above a second: callers do work between two reads, or their network "
            "is slow. The server ends a stream at `--max-stall-seconds`.",
            quantiles("stillcue_stream_stall_seconds"),
            unit="s",
            has_exemplars=True,
        ),
        Lines(
            "Streams resumed",
            "`stillcue_streams_resumed_total`: streams resumed after a broken connection, or requests sent twice. "
            "Many: look at the network, or at a proxy that ends long calls. `stillcue_jobs_rejected_total`: callers "
            "that came too late to resume. `stillcue_jobs_total`: jobs that ended because no caller resumed them.",
            (
                Query(increase("stillcue_streams_resumed_total", ""), "resumed"),
                Query(
                    increase("stillcue_jobs_rejected_total", "reason", 'reason=~"job_not_found|events_dropped"'),
                    "{{reason}}",
                ),
                Query(increase("stillcue_jobs_total", "outcome", 'outcome="reader_gone"'), "{{outcome}}"),
            ),
        ),
        Lines(
            "Jobs without a reader",
            "`stillcue_detached_jobs`: jobs whose stream broke. A caller may resume them; without one they end with "
            "their resume window.",
            (Query(f"sum(stillcue_detached_jobs{{{SERVER}}})", "jobs"),),
        ),
        Lines(
            "Memory of events kept for resuming",
            "`stillcue_replay_bytes`: at most `--max-resume-bytes`; at that limit the oldest clip is dropped.",
            (Query(f"sum(stillcue_replay_bytes{{{SERVER}}})", "bytes"),),
            unit="bytes",
        ),
        Lines(
            "Messages sent",
            "`grpc_server_msg_sent_total`: a fall to 0 while jobs run means that nothing reaches callers.",
            (Query(rate("grpc_server_msg_sent_total", "grpc_method", OUR_CALLS), "{{grpc_method}}"),),
            unit="cps",
            width=12,
        ),
        Lines(
            "Calls under way",
            "`grpc_server_started_total` less `grpc_server_handled_total`: returns to 0 when nobody calls. Otherwise "
            "calls are leaked: restart the server and report it.",
            (
                Query(
                    f"sum by (grpc_method) (grpc_server_started_total{{{SERVER}, {OUR_CALLS}}})"
                    f" - sum by (grpc_method) (grpc_server_handled_total{{{SERVER}, {OUR_CALLS}}})",
                    "{{grpc_method}}",
                ),
            ),
            width=12,
        ),
    ),
)
