"""Capacity on paper: formulas against known queues, the simulation by hand, both side by side, the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest

from benchmarks.capacity.__main__ import main
from benchmarks.capacity.formula import erlang_b, figures
from benchmarks.capacity.paper import MOST_LOAD, cards_rows
from benchmarks.capacity.service import InputInvalid, ServiceTimes, measured, read_list, read_metrics, stated
from benchmarks.capacity.simulation import play, simulate
from benchmarks.capacity.table import Demand, enough
from server.observability.metrics import COMPLETED, Metrics

EXPONENTIAL = stated(1.0, 1.0)
FIXED = stated(1.0, 0.0)


def test_erlangs_formula() -> None:
    assert erlang_b(1.0, 1) == pytest.approx(1 / 2)
    assert erlang_b(2.0, 3) == pytest.approx(4 / 19)


def test_one_card_is_exact() -> None:
    found = figures(EXPONENTIAL, 0.5, 1, None)
    assert found.wait_mean_seconds == pytest.approx(1.0)
    assert found.wait_p95_seconds == pytest.approx(2 * math.log(0.5 / 0.05))
    assert found.refused_share == 0
    assert figures(FIXED, 0.5, 1, None).wait_mean_seconds == pytest.approx(0.5)  # Pollaczek, Khinchine


def test_several_cards_of_exponential_times_are_exact() -> None:
    found = figures(EXPONENTIAL, 2.0, 3, None)
    assert found.wait_mean_seconds == pytest.approx((4 / 9) / (3 - 2))  # Erlang C is 4/9
    assert found.wait_p95_seconds == pytest.approx(math.log((4 / 9) / 0.05))


def test_a_bounded_queue_refuses() -> None:
    found = figures(EXPONENTIAL, 0.5, 1, 1)
    assert found.refused_share == pytest.approx(0.25 / (1 + 0.5 + 0.25))
    assert found.wait_mean_seconds == pytest.approx(0.5 / (1 + 0.5))  # admitted: one of three finds a job
    for service in (FIXED, EXPONENTIAL):  # without a queue the distribution does not matter
        none = figures(service, 2.0, 3, 0)
        assert none.refused_share == pytest.approx(4 / 19)
        assert (none.wait_mean_seconds, none.wait_p95_seconds) == (0, 0)


def test_an_overloaded_queue_has_no_end_unless_it_is_bounded() -> None:
    assert figures(EXPONENTIAL, 3.0, 3, None).wait_mean_seconds == math.inf
    found = figures(EXPONENTIAL, 6.0, 3, 10)
    assert found.refused_share == pytest.approx(0.5, abs=0.001)
    assert 0 < found.wait_mean_seconds < found.wait_p95_seconds < math.inf


def test_jobs_by_hand() -> None:
    arrivals, services = [0.0, 1.0, 2.0, 3.0, 9.5], [3.0, 3.0, 3.0, 3.0, 1.0]
    one = play(arrivals, services, cards=1, queue_jobs=1)
    np.testing.assert_array_equal(one.waits, [0, 2, np.nan, 3, 0])
    assert one.refused.tolist() == [False, False, True, False, False]
    assert not one.gave_up.any()
    impatient = play(arrivals, services, cards=1, queue_jobs=1, patience_seconds=1.5)
    # The second leaves at 2.5; the third finds it waiting at 2; the fourth comes as the card is free.
    np.testing.assert_array_equal(impatient.waits, [0, np.nan, np.nan, 0, 0])
    assert impatient.gave_up.tolist() == [False, True, False, False, False]
    assert impatient.refused.tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(play(arrivals, services, cards=2).waits, [0, 0, 1, 1, 0])


@pytest.mark.parametrize(
    ("service", "rate", "cards", "queue_jobs"),
    [(EXPONENTIAL, 0.8, 1, None), (FIXED, 0.7, 1, None), (EXPONENTIAL, 2.4, 3, None), (EXPONENTIAL, 3.3, 3, 4)],
)
def test_the_simulation_agrees_where_the_formula_is_exact(
    service: ServiceTimes, rate: float, cards: int, queue_jobs: int | None
) -> None:
    exact = figures(service, rate, cards, queue_jobs)
    found = simulate(service, rate, cards, queue_jobs, job_count=10_000, run_count=6, seed=1)
    assert found.wait_mean_seconds == pytest.approx(exact.wait_mean_seconds, rel=0.06)
    assert found.refused_share == pytest.approx(exact.refused_share, abs=0.01)
    assert simulate(service, rate, cards, queue_jobs, job_count=500, run_count=2, seed=1) == simulate(
        service, rate, cards, queue_jobs, job_count=500, run_count=2, seed=1
    )


def test_times_are_drawn_as_stated_or_from_those_measured() -> None:
    random = np.random.default_rng(0)
    drawn = stated(10.0, 3.0).draw(random, 50_000)
    assert (drawn.mean(), drawn.std()) == (pytest.approx(10, rel=0.01), pytest.approx(3, rel=0.02))
    assert set(FIXED.draw(random, 5)) == {1.0}
    found = measured((1.0, 3.0), "times")
    assert (found.mean_seconds, found.spread_seconds) == (2.0, 1.0)
    assert set(found.draw(random, 100)) == {1.0, 3.0}


def test_enough_cards_keep_the_wait() -> None:
    demand, service = Demand(40.0), stated(388.0, 116.0)
    cards = enough(service, demand, 388.0)
    waits = [figures(service, demand.jobs_per_second, count, None).wait_p95_seconds for count in (cards - 1, cards)]
    assert waits[1] <= 388 < waits[0]
    for *_, cell in cards_rows():
        assert 0 < float(cell.partition("(")[2].rstrip("%)")) <= 100 * MOST_LOAD


def test_the_metrics_of_a_server_give_the_cost_of_a_clip(tmp_path: Path) -> None:
    metrics, file = Metrics(), tmp_path / "metrics"
    file.write_bytes(generate_latest(metrics.registry))
    with pytest.raises(InputInvalid, match="tells of no completed clip"):
        read_metrics(file, 0)
    metrics.jobs.labels(COMPLETED).inc(4)
    metrics.jobs.labels("cancelled").inc()
    metrics.engine_seconds.labels(COMPLETED).inc(200)
    metrics.engine_seconds.labels("cancelled").inc(20)
    file.write_bytes(generate_latest(metrics.registry))
    assert read_metrics(file, 7.0) == stated(55.0, 7.0)


def test_the_command_prints_a_line_for_each_number_of_cards(capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--jobs-per-hour",
        "40",
        "--mean-seconds",
        "388",
        "--spread-seconds",
        "116",
        "--jobs",
        "500",
        "--runs",
        "2",
    ]
    assert main([*flags, "--cards", "4-6", "--price-per-card-hour", "0.4"]) == 0
    head, names, *rows = capsys.readouterr().out.splitlines()
    assert "load 4.31 cards" in head
    assert names.split()[-1] == "price/clip"
    assert [row.split()[:2] for row in rows] == [["4", "108%"], ["5", "86%"], ["6", "72%"]]
    assert "grows without end" in rows[0]
    assert rows[2].split()[-2:] == ["0.1500", "0.0600"]
    assert main([*flags, "--cards", "4", "--queue-jobs-per-card", "2", "--patience-seconds", "60"]) == 0
    assert "gave up" in capsys.readouterr().out
    assert main(flags) == 0  # from the load on, until waits are short
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[2:]] == ["4", "5", "6", "7", "8"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mean-seconds", "0"], "--mean-seconds 0 is not a time"),
        (["--mean-seconds", "5", "--spread-seconds", "nan"], "--spread-seconds nan is not a time"),
        (["--mean-seconds", "5", "--cards", "9-2"], "--cards '9-2' is not FROM-TO within 1 to 2000"),
        (["--mean-seconds", "5", "--cards", "x"], "--cards 'x' is not FROM-TO"),
        (["--mean-seconds", "5", "--queue-jobs", "-1"], "--queue-jobs -1 is too low; give 0"),
        (["--mean-seconds", "5", "--queue-jobs", "1", "--queue-jobs-per-card", "1"], "exclude each other"),
        (["--mean-seconds", "5", "--patience-seconds", "0"], "--patience-seconds 0 is too low; give more than 0"),
        (["--mean-seconds", "5", "--jobs", "3"], "--jobs needs at least 10"),
        (["--mean-seconds", "999999"], "split it into several fleets"),
        (["--times", "{folder}/missing.json"], "cannot read"),
        (["--times", "{folder}/text.json"], "is not JSON"),
        (["--times", "{folder}/object.json"], "is not a JSON list of numbers"),
        (["--times", "{folder}/empty.json"], "holds no times"),
        (["--times", "{folder}/zero.json"], "number 2, 0, is not a time"),
        (["--metrics", "{folder}/text.json"], "is not a metrics page"),
    ],
)
def test_a_wrong_flag_or_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    contents = {"text": "words", "object": "{}", "empty": "[]", "zero": "[1, 0]"}
    for name, text in contents.items():
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    assert main(["--jobs-per-hour", "9000", *(flag.format(folder=tmp_path) for flag in flags)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmarks.capacity: ")
    assert message in error
    assert error.count("\n") == 1


def test_measured_times_are_read(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    file.write_text(json.dumps([61, 58.5, 63.5]), encoding="utf-8")
    assert read_list(file).mean_seconds == 61
