"""The dashboard: up to date, valid for Grafana, and using only metrics that a server exports."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.dashboard import FILE, GRID_WIDTH, dashboard_json
from deploy.grafana.expressions import OUR_CALLS
from deploy.grafana.questions import QUESTIONS
from server.observability.metrics import Metrics
from tests.promql import grouped_labels, labels_of_metrics, selected, series_names, unknown_values

ROOT = Path(__file__).parent.parent
PAGE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in PAGE["panels"] if panel["type"] != "row"]
ROWS: list[dict[str, Any]] = [panel for panel in PAGE["panels"] if panel["type"] == "row"]
RECORDED = {
    rule["record"]
    for group in yaml.safe_load((ROOT / "deploy/prometheus/recording.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_the_committed_dashboard_is_the_generated_one() -> None:
    assert FILE.read_text(encoding="utf-8") == dashboard_json(QUESTIONS), "run make dashboard"


def test_each_question_is_a_row_with_panels_below() -> None:
    assert [row["title"] for row in ROWS] == [question.text for question in QUESTIONS]
    assert all(row["title"].endswith("?") for row in ROWS)
    assert [panel["title"] for panel in PANELS] == [item.title for question in QUESTIONS for item in question.panels]
    titles = [panel["title"] for panel in PANELS]
    assert len(titles) == len(set(titles))


def test_ids_are_unique() -> None:
    ids = [panel["id"] for panel in PAGE["panels"]]
    assert len(ids) == len(set(ids))
    assert min(ids) > 0
    for panel in PANELS:
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


def test_panels_lie_side_by_side_on_the_grid() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in PAGE["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= GRID_WIDTH, panel["title"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        for cell in itertools.product(columns, lines):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


def test_the_data_source_is_a_variable() -> None:
    variables = {item["name"]: item for item in PAGE["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["instance"]["datasource"]["uid"] == "${datasource}"
    for panel in PANELS:
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_exists_and_says_what_it_shows(panel: dict[str, Any]) -> None:
    for expression in expressions(panel):
        assert selected(expression), expression
        assert selected(expression) <= series_names() | RECORDED
        assert grouped_labels(expression) <= labels_of_metrics(), expression
        assert unknown_values(expression) == []
        for name in selected(expression):
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            assert f"`{name}`" in panel["description"] or f"`{base}`" in panel["description"], f"{name} is not named"
    told, _, advice = panel["description"].partition(": ")
    assert told
    assert advice


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_counts_calls_of_our_own_service_only(panel: dict[str, Any]) -> None:
    for expression in expressions(panel):
        selectors = re.findall(r"\bgrpc_server_\w+({[^}]*})?", expression)
        assert all(OUR_CALLS in selector for selector in selectors), expression


def test_every_metric_has_a_panel() -> None:
    shown = {name for panel in PANELS for expression in expressions(panel) for name in selected(expression)}
    recorded = "".join((ROOT / "deploy/prometheus/recording.yml").read_text(encoding="utf-8"))
    missing = {
        row.name for row in Metrics().rows if not any(name.startswith(row.name) for name in shown | selected(recorded))
    }
    assert missing == {"process_virtual_memory_bytes"}  # an address space tells an operator nothing


def test_promtool_parses_every_expression(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    rules = [
        {"record": f"panel:{panel['id']}:{index}", "expr": as_prometheus_sees(expression)}
        for panel in PANELS
        for index, expression in enumerate(expressions(panel))
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    check = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    assert f"{len(rules)} rules found" in check.stdout


def as_prometheus_sees(expression: str) -> str:
    """Grafana's variables replaced as Grafana does."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
