"""The server's promises of docs/reliability.md, each with the tests over real sockets that check it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """A promise in ``words``, its ``target``, and its ``tests`` as ``file::function`` in ``tests/``.

    Each test records what it reached under ``name``.
    """

    name: str
    words: str
    target: str
    tests: tuple[str, ...]


PROMISES: tuple[Promise, ...] = (
    Promise(
        "cancel",
        "A cancel stops the job in every phase: in the queue, in a step, in decoding, at the very end",
        "the engine makes no further graph call",
        (
            "test_server_ends.py::test_a_cancel_stops_the_engine_before_its_next_call",
            "test_server_queue.py::test_a_job_that_is_cancelled_while_it_waits_leaves_at_once",
            "test_server_cancel.py::test_a_job_that_waits_leaves_the_queue_and_costs_nothing",
            "test_server_cancel.py::test_a_cancel_at_the_very_end_finds_an_idle_engine",
        ),
    ),
    Promise(
        "nothing_left",
        "A job leaves nothing behind, however it ends",
        "calls started == calls handled; no job and no queue place left",
        ("test_server_metrics.py::test_what_started_was_handled_and_nothing_is_left_after_many_ends",),
    ),
    Promise(
        "overload",
        "Under ten times the load that fits, the excess is refused and every accepted job finishes",
        "exact counts; refusals with RetryInfo within 50 ms",
        ("test_server_promises.py::test_ten_times_the_load_is_refused_and_what_was_accepted_is_finished",),
    ),
    Promise(
        "turns",
        "Callers take turns, however many jobs one caller sends",
        "one job of each waiting caller per round",
        ("test_server_estimates.py::test_callers_take_turns",),
    ),
    Promise(
        "deadline",
        "A deadline shorter than the estimate is refused",
        "before any engine work",
        ("test_server_estimates.py::test_the_life_of_an_estimate",),
    ),
    Promise(
        "drain",
        "SIGTERM under load loses no job silently",
        "0 jobs lost; new calls refused within 0.5 s",
        (
            "test_server_promises.py::test_sigterm_under_load_loses_no_job",
            "test_server_lifecycle.py::test_the_running_job_is_ended_when_the_grace_is_over",
        ),
    ),
    Promise(
        "vanished",
        "The job of a client that is killed or cut off is stopped",
        "killed: 10 ms; cut off: keepalive + ping timeout",
        (
            "test_server_cancel.py::test_a_killed_client_stops_the_engine",
            "test_server_cancel.py::test_a_peer_that_vanishes_without_a_word_is_noticed",
        ),
    ),
    Promise(
        "stalled",
        "A reader that stops reading loses its stream and does not hold up the engine",
        "memory bounded; stream ended at the limit; next job runs",
        (
            "test_server_ends.py::test_a_stalled_reader_loses_its_stream_and_nobody_else_does",
            "test_server_ends.py::test_a_reader_that_is_too_slow_loses_its_stream_at_the_byte_limit",
        ),
    ),
    Promise(
        "resume",
        "A broken stream resumes where it broke, and a repeated request runs once",
        "same bytes, one engine run",
        (
            "test_server_resume.py::test_a_broken_stream_goes_on_with_the_same_bytes",
            "test_server_resume.py::test_the_same_request_twice_is_one_run",
        ),
    ),
    Promise(
        "worker",
        "A crash, a hang or a lack of memory in the engine costs the running job only",
        "UNAVAILABLE; NOT_SERVING within 1 s; restart",
        (
            "test_server_worker.py::test_a_crash_costs_the_running_job_only",
            "test_server_worker.py::test_a_lack_of_memory_has_its_own_reason_and_gives_memory_back",
            "test_worker_engine.py::test_a_hang_past_the_limit_ends_the_process",
        ),
    ),
    Promise(
        "hostile",
        "Hostile input is reported as the caller's error, never as the server's",
        "never INTERNAL; memory grows by less than 64 MB",
        (
            "test_server_hostile_messages.py::test_what_is_too_large_is_refused_without_being_held",
            "test_server_fuzz.py::test_no_request_is_the_servers_fault",
        ),
    ),
    Promise(
        "identity",
        "Wrong certificates and tokens are refused, and no secret is logged",
        "all refused",
        (
            "test_server_tls.py::test_every_kind_of_client_meets_every_kind_of_server",
            "test_server_tls.py::test_a_client_of_another_authority_or_of_yesterday_does_not_connect",
            "test_server_callers.py::test_a_caller_without_a_good_token_learns_nothing",
        ),
    ),
    Promise(
        "soak",
        "Many jobs with cancels, stalls and disconnects leave nothing behind",
        "memory slope ≈ 0; no task, file or shared memory left; a deliberate leak is detected",
        (
            "test_server_soak.py::test_nothing_is_left_of_many_jobs",
            "test_server_soak.py::test_a_leak_on_purpose_is_found",
        ),
    ),
    Promise(
        "metrics",
        "Metrics are exact",
        "equal to the jobs and calls that ran",
        (
            "test_server_metrics.py::test_a_completed_job",
            "test_server_metrics.py::test_every_other_end",
        ),
    ),
)
