"""The rows of the fleet's dashboard, one file for each operator's question, most urgent first."""

from __future__ import annotations

from deploy.grafana.fleet.balance import BALANCE
from deploy.grafana.fleet.cost import COST
from deploy.grafana.fleet.replicas import REPLICAS
from deploy.grafana.fleet.size import SIZE
from deploy.grafana.fleet.waiting import WAITING

FLEET_QUESTIONS = (SIZE, WAITING, REPLICAS, BALANCE, COST)
