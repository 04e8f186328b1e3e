"""The layout of a dashboard: a row for each question, with its panels from left to right below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.panels import DATASOURCE, Panel

FOLDER = Path(__file__).parent / "dashboards"
GRID_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Question:
    """A question of an operator, and the panels that answer it."""

    text: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label; "All" also selects series without the label."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard. ``uid`` is its id in Grafana and its file's name, fixed, so that links survive a new title.

    ``other`` is the page that its link leads to: (title, uid).
    """

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    other: tuple[str, str]
    questions: tuple[Question, ...]

    @property
    def file(self) -> Path:
        """Where Grafana finds the dashboard."""
        return FOLDER / f"{self.uid}.json"


def dashboard_json(page: Page) -> str:
    """Returns the dashboard as the JSON that Grafana provisions from a file, one line for each value."""
    builder = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags(["stillcue"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()  # changes made in Grafana would be lost when the file is next provisioned
        .link(_link(*page.other))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for variable in page.variables:
        builder.with_variable(_choice(variable))
    # Rows and panels are numbered together: ids must be unique on the page.
    identities, top = iter(range(1, 1_000)), 0
    for question in page.questions:
        builder.with_row(dashboard.Row(question.text).id(next(identities)).grid_pos(_place(0, top, GRID_WIDTH, 1)))
        top += 1
        for panel, place in _laid_out(question.panels, top):
            shown: Any = panel.builder()
            builder.with_panel(
                shown.id(next(identities))
                .title(panel.title)
                .description(panel.advice)
                .datasource(DATASOURCE)
                .grid_pos(place)
            )
            top = max(top, place.y + place.h)
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _link(title: str, uid: str) -> dashboard.DashboardLink:
    """A link to another dashboard, which takes the time range and the chosen values along."""
    link = dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(f"/d/{uid}")
    return link.icon("dashboard").keep_time(keep_time=True).include_vars(include_vars=True)


def _choice(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(DATASOURCE)
        .query(variable.query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
    )


def _laid_out(panels: tuple[Panel, ...], top: int) -> Iterator[tuple[Panel, models.GridPos]]:
    left, line_height = 0, 0
    for panel in panels:
        if left + panel.width > GRID_WIDTH:
            left, top, line_height = 0, top + line_height, 0
        yield panel, _place(left, top, panel.width, panel.height)
        left, line_height = left + panel.width, max(line_height, panel.height)


def _place(left: int, top: int, width: int, height: int) -> models.GridPos:
    return models.GridPos(h=height, w=width, x=left, y=top)
