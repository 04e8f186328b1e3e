"""The layout of the dashboard: a row for each question, with its panels from left to right below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.panels import DATASOURCE, Panel

FILE = Path(__file__).parent / "dashboards" / "stillcue.json"
GRID_WIDTH = 24
# The dashboard's id in Grafana. It is fixed, so that links stay valid when the title changes.
UID = "stillcue"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of an operator, and the panels that answer it."""

    text: str
    panels: tuple[Panel, ...]


def dashboard_json(questions: tuple[Question, ...]) -> str:
    """Returns the dashboard as the JSON that Grafana provisions from a file, one line for each value."""
    page = (
        dashboard.Dashboard("Stillcue")
        .uid(UID)
        .description("Image-to-video service. Each row answers a question of an operator.")
        .tags(["stillcue"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()  # changes made in Grafana would be lost when the file is next provisioned
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("instance")
            .label("Server")
            .datasource(DATASOURCE)
            .query("label_values(stillcue_build_info, instance)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
        )
    )
    # Rows and panels are numbered together: ids must be unique on the page.
    identities, top = iter(range(1, 1_000)), 0
    for question in questions:
        page.with_row(dashboard.Row(question.text).id(next(identities)).grid_pos(_place(0, top, GRID_WIDTH, 1)))
        top += 1
        for panel, place in _laid_out(question.panels, top):
            builder: Any = panel.builder()
            page.with_panel(
                builder.id(next(identities))
                .title(panel.title)
                .description(panel.advice)
                .datasource(DATASOURCE)
                .grid_pos(place)
            )
            top = max(top, place.y + place.h)
    return JSONEncoder(sort_keys=True, indent=2).encode(page.build()) + "\n"


def _laid_out(panels: tuple[Panel, ...], top: int) -> Iterator[tuple[Panel, models.GridPos]]:
    left, line_height = 0, 0
    for panel in panels:
        if left + panel.width > GRID_WIDTH:
            left, top, line_height = 0, top + line_height, 0
        yield panel, _place(left, top, panel.width, panel.height)
        left, line_height = left + panel.width, max(line_height, panel.height)


def _place(left: int, top: int, width: int, height: int) -> models.GridPos:
    return models.GridPos(h=height, w=width, x=left, y=top)
