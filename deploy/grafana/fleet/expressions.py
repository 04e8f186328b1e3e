"""PromQL that the fleet's panels share. Expressions select the servers that ``$pool`` and ``$instance`` name.

``pool`` is a label that operators give to scrape targets. Without it the label is empty, and all servers are one pool:
``pool=~".*"`` also selects series without the label. HAProxy's series carry the address of HAProxy as ``instance``, so
only ``pool`` selects them; jobs wait at its backend ``generate`` (``deploy/haproxy``).
"""

from __future__ import annotations

from deploy.grafana.panels import Query

FLEET = 'pool=~"$pool", instance=~"$instance"'
POOL = 'pool=~"$pool"'
PROXY = 'job="haproxy", proxy="generate", pool=~"$pool"'
COMPLETED = 'outcome="completed"'
JOBS_WINDOW = "15m"
COST_WINDOW = "1h"


def total(metric: str, by: str = "pool") -> str:
    """Returns the sum of a gauge over the selected servers, by the labels ``by``."""
    return f"sum by ({by}) ({metric}{{{FLEET}}})"


def increase(metric: str, by: str, more: str = "", window: str = JOBS_WINDOW) -> str:
    """Returns the increase of a counter in a window, summed by the labels ``by``; ``more`` adds label matchers."""
    labels = f"{FLEET}, {more}" if more else FLEET
    return f"sum by ({by}) (increase({metric}{{{labels}}}[{window}]))"


def quantiles(histogram: str) -> tuple[Query, ...]:
    """Returns queries for the median and the 95th percentile of a histogram by pool."""
    buckets = increase(f"{histogram}_bucket", "pool, le")
    return tuple(
        Query(f"histogram_quantile({share}, {buckets})", f"{{{{pool}}}} p{share * 100:.0f}") for share in (0.5, 0.95)
    )


def per_clip(expression: str) -> str:
    """Returns an expression by pool, divided by the clips that were completed in ``COST_WINDOW``."""
    clips = increase("stillcue_jobs_total", "pool", COMPLETED, COST_WINDOW)
    return f"{expression} / ({clips} > 0)"
