"""The kinds of panels, each with its look in Grafana: lines, a number, bars, a heat map, a table of labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

# Opens the dashboard of single servers for the series' or the row's server; both values are filled in by Grafana.
_SERVER_URL = "/d/stillcue?var-datasource=${datasource}&var-instance=%s&${__url_time_range}"
DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")

_REFERENCES = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the legend of its series, in which ``{{label}}`` is replaced by a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel(ABC):
    """A panel of any kind. ``advice`` names its metrics and says how to react; ``unit`` is a unit id of Grafana.

    ``width`` and ``height`` are in cells of Grafana's grid, 24 cells wide. ``thresholds`` are (value, colour) from low
    to high; below the first one the colour is green.
    """

    title: str
    advice: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    height: int = 8
    thresholds: tuple[tuple[float, str], ...] = ()
    has_exemplars: bool = False

    @abstractmethod
    def builder(self) -> Builder[models.Panel]:
        """Returns the SDK's builder of the panel."""


@dataclass(frozen=True, slots=True)
class Lines(Panel):
    """Values over time; ``is_stacked`` for series whose sum is meaningful.

    ``opens_server``: a click on a line, which must have the label ``instance``, opens the dashboard of that server.
    """

    is_stacked: bool = False
    opens_server: bool = False

    def builder(self) -> Builder[models.Panel]:
        """See ``Panel.builder``."""
        panel = (
            timeseries.Panel()
            .unit(self.unit)
            .min(0)
            .fill_opacity(20 if self.is_stacked else 0)
            .show_points(common_models.VisibilityMode.NEVER)
            .legend(
                common.VizLegendOptions()
                .display_mode(common_models.LegendDisplayMode.LIST)
                .placement(common_models.LegendPlacement.BOTTOM)
                .show_legend(show_legend=True)
            )
            .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
            .thresholds(_thresholds(self.thresholds))
            .targets(list(self._targets()))
        )
        if self.is_stacked:
            panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
        if self.thresholds:
            dashed = common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
            panel.thresholds_style(dashed)
        if self.opens_server:
            panel.data_links([_server_link("${__field.labels.instance}")])
        return panel

    def _targets(self) -> list[prometheus.Dataquery]:
        return [_target(query, index).range().exemplar(self.has_exemplars) for index, query in enumerate(self.queries)]


@dataclass(frozen=True, slots=True)
class Number(Panel):
    """The last value as a large number, coloured by the thresholds."""

    width: int = 4
    height: int = 4

    def builder(self) -> Builder[models.Panel]:
        """See ``Panel.builder``."""
        return (
            stat.Panel()
            .unit(self.unit)
            .thresholds(_thresholds(self.thresholds))
            .color_mode(common_models.BigValueColorMode.VALUE)
            .graph_mode(common_models.BigValueGraphMode.AREA)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
            .targets([_target(query, index).range() for index, query in enumerate(self.queries)])
        )


@dataclass(frozen=True, slots=True)
class Bars(Panel):
    """The last value of each series as a bar."""

    def builder(self) -> Builder[models.Panel]:
        """See ``Panel.builder``."""
        return (
            bargauge.Panel()
            .unit(self.unit)
            .min(0)
            .thresholds(_thresholds(self.thresholds))
            .orientation(common_models.VizOrientation.HORIZONTAL)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
            .targets([_target(query, index).instant() for index, query in enumerate(self.queries)])
        )


@dataclass(frozen=True, slots=True)
class Heat(Panel):
    """A heat map of a histogram over time; the expression must sum bucket increases by ``le``."""

    def builder(self) -> Builder[models.Panel]:
        """See ``Panel.builder``."""
        format_ = prometheus_models.PromQueryFormat.HEATMAP
        return (
            heatmap.Panel()
            .calculate(calculate=False)
            .y_axis(heatmap.YAxisConfig().unit(self.unit))
            .targets(
                [
                    _target(query, index).range().format(format_).exemplar(self.has_exemplars)
                    for index, query in enumerate(self.queries)
                ]
            )
        )


@dataclass(frozen=True, slots=True)
class Labels(Panel):
    """A table of the labels of an expression's series, one row for each series."""

    def builder(self) -> Builder[models.Panel]:
        """See ``Panel.builder``."""
        format_ = prometheus_models.PromQueryFormat.TABLE
        hidden = {"Time": True, "Value": True, "__name__": True, "job": True}
        return (
            table.Panel()
            .targets([_target(query, index).instant().format(format_) for index, query in enumerate(self.queries)])
            .with_transformation(models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden}))
        )


@dataclass(frozen=True, slots=True)
class Table(Panel):
    """One row for each server; a query's legend is the heading of its values, and labels are columns of their own.

    The expressions must keep the label ``instance``, and one row for each of its values; the first one's labels are
    shown. An empty legend hides a query's values. A click on a row opens the dashboard of its server.
    """

    def builder(self) -> Builder[models.Panel]:
        """See ``Panel.builder``."""
        format_ = prometheus_models.PromQueryFormat.TABLE
        values = {f"Value #{_REFERENCES[index]}": query.legend for index, query in enumerate(self.queries)}
        columns = {
            "excludeByName": {"Time": True, **{value: True for value, legend in values.items() if not legend}},
            "renameByName": {value: legend for value, legend in values.items() if legend},
        }
        return (
            table.Panel()
            .unit(self.unit)
            .data_links([_server_link("${__data.fields.instance}")])
            .targets([_target(query, index).instant().format(format_) for index, query in enumerate(self.queries)])
            .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
            .with_transformation(models.DataTransformerConfig(id_val="organize", options=columns))
        )


def _server_link(instance: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink("Show this server").url(_SERVER_URL % instance)


def _target(query: Query, index: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).ref_id(_REFERENCES[index]).expr(query.expression)
    return target.legend_format(query.legend) if query.legend else target


def _thresholds(steps: tuple[tuple[float, str], ...]) -> Builder[models.ThresholdsConfig]:
    first = models.Threshold(value=None, color="green")
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([first, *(models.Threshold(value=value, color=colour) for value, colour in steps)])
    )
