"""The dashboards: up to date, valid for Grafana, and using only metrics that servers and HAProxy export."""

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

from deploy.grafana.dashboard import GRID_WIDTH, Page, dashboard_json
from deploy.grafana.expressions import OUR_CALLS
from deploy.grafana.pages import FLEET_PAGE, PAGES, SERVER_PAGE
from server.observability.metrics import Metrics
from tests.promql import grouped_labels, labels_of_metrics, selected, series_names, unknown_values

ROOT = Path(__file__).parent.parent
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.uid)
RECORDED = {
    rule["record"]
    for group in yaml.safe_load((ROOT / "deploy/prometheus/recording.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}


def shown(page: Page) -> dict[str, Any]:
    """The committed dashboard."""
    found: dict[str, Any] = json.loads(page.file.read_text(encoding="utf-8"))
    return found


def panels_of(page: Page) -> list[dict[str, Any]]:
    return [panel for panel in shown(page)["panels"] if panel["type"] != "row"]


SERVER_PANELS, FLEET_PANELS = panels_of(SERVER_PAGE), panels_of(FLEET_PAGE)
EACH_PANEL = pytest.mark.parametrize("panel", [*SERVER_PANELS, *FLEET_PANELS], ids=lambda panel: panel["title"])


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


@EACH_PAGE
def test_the_committed_dashboard_is_the_generated_one(page: Page) -> None:
    assert page.file.read_text(encoding="utf-8") == dashboard_json(page), "run make dashboard"


def test_every_file_is_a_page_with_its_uid() -> None:
    assert {file.stem for file in SERVER_PAGE.file.parent.glob("*")} == {page.uid for page in PAGES}
    assert all(shown(page)["uid"] == page.uid for page in PAGES)


@EACH_PAGE
def test_each_question_is_a_row_with_panels_below(page: Page) -> None:
    rows = [panel["title"] for panel in shown(page)["panels"] if panel["type"] == "row"]
    assert rows == [question.text for question in page.questions]
    assert all(row.endswith("?") for row in rows)
    titles = [panel["title"] for panel in panels_of(page)]
    assert titles == [item.title for question in page.questions for item in question.panels]
    assert len(titles) == len(set(titles))


@EACH_PAGE
def test_ids_are_unique(page: Page) -> None:
    ids = [panel["id"] for panel in shown(page)["panels"]]
    assert len(ids) == len(set(ids))
    assert min(ids) > 0
    for panel in panels_of(page):
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


@EACH_PAGE
def test_panels_lie_side_by_side_on_the_grid(page: Page) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in shown(page)["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= GRID_WIDTH, panel["title"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        for cell in itertools.product(columns, lines):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@EACH_PAGE
def test_variables_choose_the_data_source_and_servers(page: Page) -> None:
    source, *choices = shown(page)["templating"]["list"]
    assert (source["name"], source["type"]) == ("datasource", "datasource")
    assert [choice["name"] for choice in choices] == [variable.name for variable in page.variables]
    for choice in choices:
        assert choice["datasource"]["uid"] == "${datasource}"
        assert choice["allValue"] == ".*"  # also selects series without the label
    for panel in panels_of(page):
        for used in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert used == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


@EACH_PAGE
def test_an_expression_selects_by_the_variables_of_its_page(page: Page) -> None:
    names = {variable.name for variable in page.variables}
    for panel in panels_of(page):
        for expression in expressions(panel):
            assert set(re.findall(r"\$(?!__)(\w+)", expression)) <= names, panel["title"]
    if page is FLEET_PAGE:
        for panel in FLEET_PANELS:
            for expression in expressions(panel):
                selectors = re.findall(r"\{([^}]*)\}", expression)
                assert selectors, panel["title"]
                assert all('pool=~"$pool"' in selector for selector in selectors), panel["title"]


def test_the_fleet_leads_to_one_server_and_each_page_to_the_other() -> None:
    (to_fleet,), (to_servers,) = shown(SERVER_PAGE)["links"], shown(FLEET_PAGE)["links"]
    assert (to_fleet["url"], to_servers["url"]) == (f"/d/{FLEET_PAGE.uid}", f"/d/{SERVER_PAGE.uid}")
    assert (
        to_fleet["includeVars"] is to_fleet["keepTime"] is to_servers["includeVars"] is to_servers["keepTime"] is True
    )
    linked = {
        panel["title"]: (panel, link["url"])
        for panel in FLEET_PANELS
        for link in panel["fieldConfig"]["defaults"].get("links", [])
    }
    assert "Replicas" in linked
    for title, (panel, url) in linked.items():
        value = "__data.fields.instance" if panel["type"] == "table" else "__field.labels.instance"
        assert url == (
            f"/d/{SERVER_PAGE.uid}?var-datasource=${{datasource}}&var-instance=${{{value}}}&${{__url_time_range}}"
        )
        for expression in expressions(panel):
            assert "instance" in grouped_labels(expression), title


@EACH_PANEL
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


@EACH_PANEL
def test_a_panel_counts_calls_of_our_own_service_only(panel: dict[str, Any]) -> None:
    for expression in expressions(panel):
        selectors = re.findall(r"\bgrpc_server_\w+({[^}]*})?", expression)
        assert all(OUR_CALLS in selector for selector in selectors), expression


def test_every_metric_has_a_panel() -> None:
    panels = [*SERVER_PANELS, *FLEET_PANELS]
    asked = {name for panel in panels for expression in expressions(panel) for name in selected(expression)}
    recorded = "".join((ROOT / "deploy/prometheus/recording.yml").read_text(encoding="utf-8"))
    missing = {
        row.name for row in Metrics().rows if not any(name.startswith(row.name) for name in asked | selected(recorded))
    }
    assert missing == {"process_virtual_memory_bytes"}  # an address space tells an operator nothing


def test_promtool_parses_every_expression(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    rules = [
        {"record": f"panel:{page.uid.replace('-', '_')}:{panel['id']}:{index}", "expr": as_prometheus_sees(expression)}
        for page in PAGES
        for panel in panels_of(page)
        for index, expression in enumerate(expressions(panel))
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    check = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    assert f"{len(rules)} rules found" in check.stdout


def as_prometheus_sees(expression: str) -> str:
    """Grafana's variables replaced as Grafana does."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$pool", ".*")
