"""Panels for the question "do the segments of chains hold together?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import increase, quantiles
from deploy.grafana.panels import Lines, Query

CHAINS = Question(
    "Chains: do their segments hold together?",
    (
        Lines(
            "Chains, complete and stopped",
            "`stillcue_chains_total`: `stopped` chains end early, because a later sentence does not match the frame "
            "that it begins from, as `match.mode` REQUIRE asks. Many: sentences do not follow from each other.",
            (Query(increase("stillcue_chains_total", "outcome"), "{{outcome}}"),),
            width=6,
            is_stacked=True,
        ),
        Lines(
            "Segments made",
            "`stillcue_segments_total`: each segment takes the engine as long as a clip of its length. Next to the "
            "number of chains: how long they are.",
            (Query(increase("stillcue_segments_total", ""), "segments"),),
            width=6,
        ),
        Lines(
            "Jump of motion at seams",
            "`stillcue_seam_motion_jump`: above what happens inside the segments, as a share of the shorter side. "
            "High: a segment begins with another motion; let its sentence go on with the one before.",
            quantiles("stillcue_seam_motion_jump"),
            unit="percentunit",
            width=6,
            has_exemplars=True,
        ),
        Lines(
            "Shift of colours at seams",
            "`stillcue_seam_colour_shift`: above what happens inside the segments, as a share of the range of values. "
            "A rise after an update of bundle or drivers: compare a seed with the old ones.",
            quantiles("stillcue_seam_colour_shift"),
            unit="percentunit",
            width=6,
            has_exemplars=True,
        ),
        Lines(
            "Likeness of the subject at the end",
            "`stillcue_chain_subject_consistency`: to the subject of the first frame. Low: the subject changes on the "
            "way; advise shorter chains.",
            quantiles("stillcue_chain_subject_consistency"),
            unit="percentunit",
            width=12,
            has_exemplars=True,
        ),
        Lines(
            "Return to the beginning",
            "`stillcue_chain_loop_back`: how much more the end resembles the first segment than the frames between do. "
            "High: chains run back to their picture instead of going on.",
            quantiles("stillcue_chain_loop_back"),
            width=12,
            has_exemplars=True,
        ),
    ),
)
