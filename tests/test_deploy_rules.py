"""Recording rules and alerts: valid, tested on cases, and each alert has its section in docs/operations.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from engine.api.errors import EngineHung, EngineLost, OutOfMemory
from server.errors.rules import INTERNAL, RULES
from tests.promql import grouped_labels, labels_of_metrics, selected, series_names, unknown_values

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "prometheus"
CASES = sorted((FOLDER / "tests").glob("*.yml"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def groups_of(name: str) -> dict[str, list[dict[str, Any]]]:
    groups = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["groups"]
    return {group["name"]: group["rules"] for group in groups}


def rules_of(name: str) -> list[dict[str, Any]]:
    return [rule for rules in groups_of(name).values() for rule in rules]


RECORDING = rules_of("recording.yml")
ALERTS = rules_of("alerts.yml")
ALERT_NAMES = [rule["alert"] for rule in ALERTS]


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_promtool_accepts_configuration_and_rules() -> None:
    promtool("check", "config", FOLDER / "prometheus.yml")
    promtool("check", "config", FOLDER / "fleet.yml")


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_rules_do_in_each_case_what_they_should(cases: Path) -> None:
    promtool("test", "rules", cases)


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_cases_evaluate_what_is_recorded_before_what_alerts(cases: Path) -> None:
    order = yaml.safe_load(cases.read_text(encoding="utf-8"))["group_eval_order"]
    assert order == [*groups_of("recording.yml"), *groups_of("alerts.yml")]


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_each_alert_fires_in_one_case_and_is_silent_in_another(alert: str) -> None:
    tried = [
        bool(case["exp_alerts"])
        for path in CASES
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == alert
    ]
    assert set(tried) == {True, False}


@pytest.mark.parametrize("rule", [*RECORDING, *ALERTS], ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_asks_for_what_exists(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    assert selected(expression)
    assert selected(expression) <= series_names() | {item["record"] for item in RECORDING}
    assert grouped_labels(expression) <= labels_of_metrics()
    assert unknown_values(expression) == []


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert len(ALERT_NAMES) == len(set(ALERT_NAMES))
    _, _, sections = OPERATIONS.partition("\n## Alerts\n")
    told = dict(re.findall(r"^### (\w+)\n\n(\w+) · ", sections, re.MULTILINE))
    assert told == {rule["alert"]: rule["labels"]["severity"] for rule in ALERTS}
    assert set(told.values()) == {"page", "ticket"}


def test_every_alert_that_is_named_exists() -> None:
    panels = [path for folder in ("questions", "fleet") for path in (ROOT / "deploy" / "grafana" / folder).glob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in panels]
    named = {name for text in [*texts, OPERATIONS] for name in re.findall(r"\bStillcue[A-Z]\w+", text)}
    assert named - {"StillcueService"} == set(ALERT_NAMES)


def test_every_reason_is_a_fault_a_refusal_or_the_callers_own() -> None:
    """A new reason must be put into a class here, and into the rules where it is a fault of ours."""
    fault_codes = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
    faults = {rule.reason for rule in [*RULES.values(), INTERNAL] if rule.code in fault_codes}
    faults.add(RULES[OutOfMemory].reason)  # counted by stillcue_gpu_oom_total
    faults |= {RULES[EngineLost].reason, RULES[EngineHung].reason}  # counted by stillcue_worker_restarts_total
    unavailable = {rule.reason for rule in RULES.values() if rule.code is grpc.StatusCode.UNAVAILABLE}
    assert faults == {
        "INTERNAL",
        "GRAPH_FAILED",
        "NON_FINITE_VALUES",
        "VIDEO_FAILED",
        "OUT_OF_MEMORY",
        "ENGINE_LOST",
        "ENGINE_HUNG",
    }
    assert unavailable - faults == {"SERVER_STARTING", "SERVER_DRAINING", "ENGINE_RESTARTING"}


@pytest.mark.parametrize("rule", [*RECORDING, *ALERTS], ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_counts_calls_of_our_own_service_only(rule: dict[str, Any]) -> None:
    selectors = re.findall(r"\bgrpc_server_\w+({[^}]*})?", rule["expr"])
    assert all('grpc_service="stillcue.v1.StillcueService"' in selector for selector in selectors)
