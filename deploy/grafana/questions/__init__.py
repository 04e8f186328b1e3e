"""The rows of the dashboard, one file for each operator's question, most urgent first."""

from __future__ import annotations

from deploy.grafana.questions.attempts import ATTEMPTS
from deploy.grafana.questions.cancels import CANCELS
from deploy.grafana.questions.chains import CHAINS
from deploy.grafana.questions.cost import COST
from deploy.grafana.questions.match import MATCH
from deploy.grafana.questions.memory import MEMORY
from deploy.grafana.questions.served import SERVED
from deploy.grafana.questions.up import UP
from deploy.grafana.questions.waiting import WAITING

QUESTIONS = (UP, SERVED, WAITING, COST, MATCH, ATTEMPTS, CHAINS, MEMORY, CANCELS)
