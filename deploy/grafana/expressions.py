"""Expressions that several panels share. Knows PromQL and Grafana's variables; does not know which metrics there are.

Every expression looks at the servers that the dashboard's variable ``instance`` chooses. Windows are Grafana's
``$__rate_interval``, or ``JOBS_WINDOW`` where jobs are so few that a shorter one would show nothing.
"""

from __future__ import annotations

from deploy.grafana.panels import Query

SERVER = 'instance=~"$instance"'
OUR_CALLS = 'grpc_service="stillcue.v1.StillcueService"'
COMPLETED = 'outcome="completed"'
JOBS_WINDOW = "15m"


def rate(metric: str, by: str, more: str = "") -> str:
    """How often a second, summed ``by`` labels; ``more`` are further matchers."""
    labels = f"{SERVER}, {more}" if more else SERVER
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def increase(metric: str, by: str, more: str = "", window: str = JOBS_WINDOW) -> str:
    """How often in a window, summed ``by`` labels, or altogether where there are none."""
    labels = f"{SERVER}, {more}" if more else SERVER
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (increase({metric}{{{labels}}}[{window}]))"


def quantile(share: float, histogram: str, by: str = "", more: str = "") -> str:
    """What a ``share`` of a histogram, 0..1, stays below, for each value of the labels ``by``."""
    kept = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {increase(f'{histogram}_bucket', kept, more)})"


def quantiles(histogram: str, more: str = "") -> tuple[Query, ...]:
    """Median and 95 % of a histogram, over all chosen servers."""
    return tuple(Query(quantile(share, histogram, more=more), f"p{share * 100:.0f}") for share in (0.5, 0.95))


def mean(histogram: str, by: str) -> str:
    """The mean of what a histogram observed, ``by`` labels; nothing where it observed nothing."""
    return f"{increase(f'{histogram}_sum', by)} / ({increase(f'{histogram}_count', by)} > 0)"
