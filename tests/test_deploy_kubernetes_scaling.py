"""The figures by which KEDA and the HorizontalPodAutoscaler scale: the same ones, of metrics that exist, and right."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes_manifests import FOLDER, SERVER_COUNT
from tests.promql import series_names

COMPONENTS = FOLDER / "components"
SCALED_OBJECT = yaml.safe_load((COMPONENTS / "keda" / "scaled-object.yaml").read_text(encoding="utf-8"))["spec"]
AUTOSCALER = yaml.safe_load((COMPONENTS / "hpa" / "autoscaler.yaml").read_text(encoding="utf-8"))["spec"]
ADAPTER = yaml.safe_load((COMPONENTS / "hpa" / "prometheus-adapter.yml").read_text(encoding="utf-8"))["rules"][
    "external"
]
TRIGGERS = {trigger["name"]: trigger for trigger in SCALED_OBJECT["triggers"]}
QUERIES = {name: trigger["metadata"]["query"] for name, trigger in TRIGGERS.items()}
# Of HAProxy's exporter; tests/test_deploy_kubernetes_walk.py asks a real one for it.
PROXYS_SERIES = {"haproxy_backend_current_queue"}
NAMESPACE = 'namespace="stillcue"'


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_both_autoscalers_ask_the_same() -> None:
    rules = {rule["name"]["as"]: rule["metricsQuery"].replace("<<.LabelMatchers>>", NAMESPACE) for rule in ADAPTER}
    assert rules == {"stillcue_demand_jobs": QUERIES["demand"], "stillcue_wait_seconds": QUERIES["wait"]}
    targets = {item["external"]["metric"]["name"]: item["external"]["target"] for item in AUTOSCALER["metrics"]}
    thresholds = {name: trigger["metadata"]["threshold"] for name, trigger in TRIGGERS.items()}
    assert targets == {
        "stillcue_demand_jobs": {"type": TRIGGERS["demand"]["metricType"], "averageValue": thresholds["demand"]},
        "stillcue_wait_seconds": {"type": TRIGGERS["wait"]["metricType"], "value": thresholds["wait"]},
    }
    assert AUTOSCALER["behavior"] == SCALED_OBJECT["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert AUTOSCALER["minReplicas"] == SCALED_OBJECT["minReplicaCount"] == 1
    assert AUTOSCALER["maxReplicas"] == SCALED_OBJECT["maxReplicaCount"] == SERVER_COUNT


def test_queries_name_metrics_of_the_namespace() -> None:
    for query in [*QUERIES.values(), *(rule["seriesQuery"] for rule in ADAPTER)]:
        selectors = re.findall(r"\b(stillcue_\w+|haproxy_\w+)\{([^}]*)\}", query)
        assert len(selectors) == len(re.findall(r"\b(?:stillcue|haproxy)_\w+", query))
        for series, labels in selectors:
            assert series in series_names() | PROXYS_SERIES
            assert labels.split(", ")[0] in {NAMESPACE, 'namespace!=""'}


def test_a_server_is_given_up_slowly() -> None:
    behaviour = AUTOSCALER["behavior"]["scaleDown"]
    assert behaviour["stabilizationWindowSeconds"] == 1800
    assert behaviour["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 900}]  # the drain of a GPU server


# Jobs that run, by pod; jobs that wait, by pod; jobs at HAProxy, None: no HAProxy; the demand, computed by hand:
# running + (waiting at servers + at HAProxy) / 2.
CASES: dict[str, tuple[dict[str, int], dict[str, int], int | None, float]] = {
    "nothing to do": ({"a": 0, "b": 0}, {"a": 0, "b": 0}, 0, 0.0),
    "all run, nobody waits": ({"a": 1, "b": 1}, {"a": 0, "b": 0}, 0, 2.0),
    "jobs wait at the proxy": ({"a": 1, "b": 1}, {"a": 0, "b": 0}, 5, 4.5),
    "jobs wait at servers, no proxy": ({"a": 1, "b": 1}, {"a": 3, "b": 1}, None, 4.0),
    "jobs wait at both": ({"a": 1, "b": 0}, {"a": 1, "b": 0}, 1, 2.0),
}


def test_demand_is_running_jobs_and_half_of_those_that_wait(tmp_path: Path) -> None:
    tests = []
    for running, waiting, at_proxy, demand in CASES.values():
        series = [(f'stillcue_running_jobs{{{NAMESPACE}, instance="{pod}"}}', count) for pod, count in running.items()]
        series += [(f'stillcue_queue_jobs{{{NAMESPACE}, instance="{pod}"}}', count) for pod, count in waiting.items()]
        series += [('stillcue_running_jobs{namespace="other", instance="c"}', 1)]  # another fleet
        if at_proxy is not None:
            series.append((f'haproxy_backend_current_queue{{{NAMESPACE}, proxy="generate"}}', at_proxy))
            series.append((f'haproxy_backend_current_queue{{{NAMESPACE}, proxy="calls"}}', 9))
        tests.append(case(QUERIES["demand"], series, demand))
    run_cases(tmp_path, tests)


def test_without_figures_there_is_no_demand_rather_than_none_needed(tmp_path: Path) -> None:
    proxy = (f'haproxy_backend_current_queue{{{NAMESPACE}, proxy="generate"}}', 0)
    run_cases(tmp_path, [case(QUERIES["demand"], [proxy], None)])
    assert {trigger["metadata"]["ignoreNullValues"] for trigger in TRIGGERS.values()} == {"false"}


def test_wait_is_the_mean_of_ten_minutes(tmp_path: Path) -> None:
    """Samples are a minute apart; 6 jobs begin in ten minutes, 0.01 a second, while 1 and 2 wait: 300 s each."""
    begun = f"stillcue_job_queue_seconds_count{{{NAMESPACE}}}", "0+0.6x20"
    waiting = f"stillcue_queue_jobs{{{NAMESPACE}}}", "1x20"
    at_proxy = f'haproxy_backend_current_queue{{{NAMESPACE}, proxy="generate"}}', "2x20"
    nothing_begins = f"stillcue_job_queue_seconds_count{{{NAMESPACE}}}", "7x20"
    run_cases(
        tmp_path,
        [
            case(QUERIES["wait"], [begun, waiting, at_proxy], 300.0, at="15m"),
            case(QUERIES["wait"], [begun, waiting], 100.0, at="15m"),
            case(QUERIES["wait"], [nothing_begins, waiting, at_proxy], 0.0, at="15m"),  # the demand tells of these
        ],
    )


def case(query: str, series: list[tuple[str, Any]], value: float | None, at: str = "0m") -> dict[str, Any]:
    """A case of promtool: ``value`` is what the query gives at the time ``at``; None: nothing."""
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": str(values)} for name, values in series],
        "promql_expr_test": [{"expr": f"round({query}, 1e-6)", "eval_time": at, "exp_samples": samples}],
    }


def run_cases(folder: Path, tests: list[dict[str, Any]]) -> None:
    file = folder / "cases.yml"
    file.write_text(yaml.safe_dump({"tests": tests}), encoding="utf-8")
    promtool("test", "rules", file)


def test_promtool_accepts_the_scrape_configuration(tmp_path: Path) -> None:
    scrape = yaml.safe_load((FOLDER / "scrape.yml").read_text(encoding="utf-8"))
    # Debian's build knows no Kubernetes: the other fields are checked.
    assert [config.pop("kubernetes_sd_configs") for config in scrape] == [[{"role": "pod"}]]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": scrape}), encoding="utf-8")
    promtool("check", "config", file)


def test_both_ways_of_scraping_give_the_same_labels() -> None:
    monitor = yaml.safe_load((COMPONENTS / "pod-monitor" / "pod-monitor.yaml").read_text(encoding="utf-8"))["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    (scrape,) = yaml.safe_load((FOLDER / "scrape.yml").read_text(encoding="utf-8"))
    labels = {
        rule["target_label"]: rule["source_labels"]
        for rule in scrape["relabel_configs"]
        if not rule.get("target_label", "__").startswith("__")
    }
    # The operator adds the namespace, and the job by the pod's label that jobLabel names.
    assert {rule["targetLabel"]: rule["sourceLabels"] for rule in endpoint["relabelings"]} | {
        "namespace": ["__meta_kubernetes_namespace"],
        "job": ["__meta_kubernetes_pod_label_" + monitor["jobLabel"].replace(".", "_").replace("/", "_")],
    } == labels
    assert endpoint["path"] == "/metrics"
