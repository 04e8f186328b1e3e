"""Reads plans, and keeps the plan of a run in its folder so that another plan cannot go on with it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from evaluation.errors import EvaluationError
from evaluation.plan.model import Arm, Plan
from export.atomic_file import write_text

PLAN_NAME = "plan.json"


class RunPlan(BaseModel):
    """The plan of a run with what it depends on: the bundle, by the SHA-256 of its manifest, and its default values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    bundle_name: str
    bundle_digest: str
    default_guidance_scale: float
    default_step_count: int

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms in order."""
        return self.plan.all_arms()


def read_plan(path: Path) -> Plan:
    """Reads a TOML file. Raises ``EvaluationError``."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return Plan.model_validate(values)
    except OSError as error:
        raise EvaluationError(f"cannot read the plan {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} is no TOML file: {error}") from error
    except ValidationError as error:
        raise EvaluationError(f"{path}: {_fault(error)}") from error


def read_run_plan(folder: Path) -> RunPlan:
    """Reads the plan of a run. Raises ``EvaluationError``."""
    path = folder / PLAN_NAME
    try:
        return RunPlan.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(
            f"{folder} holds no run: {PLAN_NAME} is missing; run `python -m evaluation run`"
        ) from error
    except ValidationError as error:
        raise EvaluationError(f"{path}: {_fault(error)}; run with another folder") from error


def keep_run_plan(folder: Path, run_plan: RunPlan) -> None:
    """Writes the plan into the folder of a new run. Raises ``EvaluationError`` where the folder holds another run."""
    if (folder / PLAN_NAME).exists():
        there = read_run_plan(folder)
        if there != run_plan:
            what = "another bundle" if there.plan == run_plan.plan else "another plan"
            raise EvaluationError(f"{folder} holds the clips of {what}; name another folder with --out, or delete it")
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_run_plan(folder, run_plan)


def replace_run_plan(folder: Path, run_plan: RunPlan) -> None:
    """Notes with which bundle the clips of a run were judged last."""
    write_text(folder / PLAN_NAME, run_plan.model_dump_json(indent=1) + "\n")


def _fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
