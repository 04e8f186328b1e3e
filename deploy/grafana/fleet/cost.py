"""Panels for the question "what does a clip cost, and which work is lost?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.fleet.expressions import COST_WINDOW, FLEET, increase, per_clip
from deploy.grafana.panels import Lines, Number, Query

_ENGINE = increase("stillcue_engine_seconds_total", "pool", window=COST_WINDOW)
# `up` is 1 for each card that answers. The sum of points 15 s apart, times 15 s, is its time in seconds.
_CARDS = f'sum_over_time(sum by (pool) (up{{job="stillcue", {FLEET}}})[{COST_WINDOW}:15s]) * 15'

COST = Question(
    "What does a clip cost, and which work is lost?",
    (
        Number(
            "Card-seconds of a clip",
            "`up`, `stillcue_jobs_total`: time of all cards, idle ones too, for each clip completed in the last hour. "
            "Times the price of a card-second it is the price of a clip.",
            (Query(per_clip(_CARDS), "{{pool}}"),),
            unit="s",
            width=5,
            height=8,
        ),
        Number(
            "Engine-seconds of a clip",
            "`stillcue_engine_seconds_total`, `stillcue_jobs_total`: time in which jobs held an engine, however they "
            "ended, for each completed clip. Far below the card-seconds: cards are idle, run fewer.",
            (Query(per_clip(_ENGINE), "{{pool}}"),),
            unit="s",
            width=5,
            height=8,
        ),
        Lines(
            "Engine time by outcome",
            "`stillcue_engine_seconds_total`: seconds in the last hour. All but `completed` is work that nobody got: "
            "callers who cancel late, deadlines that are too short, faults. What a killed process did is not counted.",
            (Query(f"{increase('stillcue_engine_seconds_total', 'outcome', window=COST_WINDOW)} > 0", "{{outcome}}"),),
            unit="s",
            width=7,
            is_stacked=True,
        ),
        Lines(
            "Jobs done again",
            "`stillcue_jobs_begun_again_total`, `stillcue_jobs_repeated_total`: on a new engine of the same replica, "
            "and for a replica that is gone. Each costs up to a clip: look for what ended them in the row above.",
            (
                Query(increase("stillcue_jobs_begun_again_total", "pool", window=COST_WINDOW), "{{pool}} engine lost"),
                Query(increase("stillcue_jobs_repeated_total", "pool", window=COST_WINDOW), "{{pool}} replica lost"),
            ),
            width=7,
        ),
    ),
)
