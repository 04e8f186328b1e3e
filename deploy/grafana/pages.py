"""The dashboards: one of single servers, one of a fleet. Each links to the other."""

from __future__ import annotations

from deploy.grafana.dashboard import Page, Variable
from deploy.grafana.fleet import FLEET_QUESTIONS
from deploy.grafana.questions import QUESTIONS

SERVER_PAGE = Page(
    uid="stillcue",
    title="Stillcue",
    description="Image-to-video service. Each row answers a question of an operator.",
    variables=(Variable("instance", "Server", "label_values(stillcue_build_info, instance)"),),
    other=("Fleet", "stillcue-fleet"),
    questions=QUESTIONS,
)

FLEET_PAGE = Page(
    uid="stillcue-fleet",
    title="Stillcue fleet",
    description="Many servers behind one address. Click a server's line or row to see that server alone.",
    variables=(
        Variable("pool", "Pool", "label_values(stillcue_build_info, pool)"),
        Variable("instance", "Server", 'label_values(stillcue_build_info{pool=~"$pool"}, instance)'),
    ),
    other=("Servers", "stillcue"),
    questions=FLEET_QUESTIONS,
)

PAGES = (SERVER_PAGE, FLEET_PAGE)
