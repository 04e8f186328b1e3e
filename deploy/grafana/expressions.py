"""PromQL expressions that several panels share; each function returns the text of an expression.

Every expression selects the servers that the dashboard's variable ``instance`` names. The window is Grafana's
``$__rate_interval``, or ``JOBS_WINDOW`` for jobs, which are too few for a shorter one.
"""

from __future__ import annotations

from deploy.grafana.panels import Query

SERVER = 'instance=~"$instance"'
OUR_CALLS = 'grpc_service="stillcue.v1.StillcueService"'
COMPLETED = 'outcome="completed"'
# Servers from before the label count full steps alone, without it.
FULL_STEPS = 'work=~"full|"'
JOBS_WINDOW = "15m"


def rate(metric: str, by: str, more: str = "") -> str:
    """Returns the rate of a counter in events per second, summed by the labels ``by``; ``more`` adds label matchers."""
    labels = f"{SERVER}, {more}" if more else SERVER
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def increase(metric: str, by: str, more: str = "", window: str = JOBS_WINDOW) -> str:
    """Returns the increase of a counter in a window, summed by the labels ``by``, or in total if ``by`` is empty."""
    labels = f"{SERVER}, {more}" if more else SERVER
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (increase({metric}{{{labels}}}[{window}]))"


def quantile(share: float, histogram: str, by: str = "", more: str = "") -> str:
    """Returns a quantile (``share``, 0..1) of a histogram for each value of the labels ``by``."""
    kept = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {increase(f'{histogram}_bucket', kept, more)})"


def quantiles(histogram: str, more: str = "") -> tuple[Query, ...]:
    """Returns queries for the median and the 95th percentile of a histogram over all selected servers."""
    return tuple(Query(quantile(share, histogram, more=more), f"p{share * 100:.0f}") for share in (0.5, 0.95))


def mean(histogram: str, by: str, more: str = "") -> str:
    """Returns the mean of a histogram's observations by the labels ``by``; no series where there is no observation."""
    return f"{increase(f'{histogram}_sum', by, more)} / ({increase(f'{histogram}_count', by, more)} > 0)"
