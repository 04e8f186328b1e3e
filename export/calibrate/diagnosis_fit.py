"""Fits the thresholds of the diagnosis, and measures symptoms and remedies on groups that the fit did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.diagnosis.measured_evidence import CLIP_REMEDIES, measured_reasons, ranked
from engine.analysis.diagnosis.symptoms import CLIP_SYMPTOMS, SYMPTOM_FIGURES, symptom_kinds
from engine.api.diagnosis import RemedyKind, SymptomKind
from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.matching.success import log_odds_of
from export.calibrate.held_out import HeldOutFit
from export.calibrate.outcomes import Outcomes
from export.calibrate.probability_figures import share
from export.calibrate.statistics import Labels
from export.calibrate.thresholds import fit_low_chance, fit_symptom_thresholds

Kinds = list[frozenset[SymptomKind]]


@dataclass(frozen=True, eq=False)
class DiagnosedOutcomes:
    """Outcomes with the fits that their diagnosis depends on. Both fits have the same folds."""

    outcomes: Outcomes
    pair: HeldOutFit
    clip: HeldOutFit

    @property
    def matched(self) -> Labels:
        """Clips of pairs without a fault."""
        return np.array([row.is_matched for row in self.outcomes.rows], bool)


def fit_diagnosis(given: DiagnosedOutcomes) -> DiagnosisSpec | None:
    """Thresholds on all outcomes; None if no clip of a matching pair is good, or figures of clips are missing."""
    good = given.matched & given.outcomes.successes
    if not good.any() or not set(given.outcomes.names) >= SYMPTOM_FIGURES:
        return None
    return _fitted(given, np.ones(len(given.outcomes.rows), bool))


def diagnosis_figures(given: DiagnosedOutcomes, spec: DiagnosisSpec) -> dict[str, Any]:
    """Thresholds, and false alarms, misses and remedies on held-out groups, beside those of the default thresholds."""
    held_out: Kinds = [frozenset()] * len(given.outcomes.rows)
    for fold in range(len(given.pair.fold_odds)):
        seen = given.pair.folds != fold
        kinds = symptoms_of(given, _fitted(given, seen))
        held_out = [old if is_seen else new for old, new, is_seen in zip(held_out, kinds, seen, strict=True)]
    return {
        "thresholds": spec.as_dict(),
        "fitted": _symptom_figures(given, held_out),
        "default": _symptom_figures(given, symptoms_of(given, DiagnosisSpec())),
        "remedies": remedy_figures(given, held_out),
    }


def symptoms_of(given: DiagnosedOutcomes, spec: DiagnosisSpec) -> Kinds:
    """The symptoms of each clip, with its judged success held out."""
    return [
        frozenset(
            symptom_kinds(
                row.figures, spec, asks_for_motion=row.figures.get("asked_motion", 1.0) > 0.0, chance=float(chance)
            )
        )
        for row, chance in zip(given.outcomes.rows, given.clip.chances, strict=True)
    ]


def remedy_figures(given: DiagnosedOutcomes, kinds: Kinds) -> dict[str, Any]:
    """Shares of failed clips whose right remedy comes first: of all that have one, of those with a symptom, by remedy.

    ``earlier``: the remedies that were told when the clips were made.
    """
    rows = given.outcomes.rows
    chosen = [place for place, row in enumerate(rows) if not row.success and row.right_remedy is not None]
    first = {place: _first_remedy(given, place, kinds[place]) for place in chosen}
    hits = np.array([first[place] is rows[place].right_remedy for place in chosen], bool)
    has_symptom = np.array([bool(kinds[place]) for place in chosen], bool)
    earlier = np.array([rows[place].remedies[:1] == (_name(rows[place].right_remedy),) for place in chosen], bool)
    wanted = np.array([_name(rows[place].right_remedy) for place in chosen])
    arms = np.array([rows[place].arm for place in chosen])
    return {
        "all": share(hits),
        "with_symptom": share(hits[has_symptom]),
        "earlier": share(earlier),
        "by_remedy": {kind.value: share(hits[wanted == kind.value]) for kind in CLIP_REMEDIES},
        "by_arm": {arm: share(hits[arms == arm]) for arm in dict.fromkeys(arms.tolist())},
    }


def _fitted(given: DiagnosedOutcomes, seen: Labels) -> DiagnosisSpec:
    """Thresholds on the outcomes that are seen."""
    names = given.outcomes.names
    values = dict(zip(names, given.outcomes.values(names)[seen].T, strict=True))
    successes, matched = given.outcomes.successes[seen], given.matched[seen]
    spec = fit_symptom_thresholds(values, successes, matched)
    kinds = symptoms_of(given, spec)
    has_symptom = np.array([bool(item) for item in kinds], bool)[seen]
    return spec.with_changes(low_chance_below=fit_low_chance(given.clip.chances[seen], has_symptom, successes, matched))


def _first_remedy(given: DiagnosedOutcomes, place: int, kinds: frozenset[SymptomKind]) -> RemedyKind | None:
    """The remedy that comes first by a fit that did not see the outcome's group; None for a clip without symptoms."""
    if not kinds:
        return None
    figures = given.outcomes.rows[place].figures
    log_odds = log_odds_of(figures, given.pair.fold_odds[int(given.pair.folds[place])])
    return ranked(measured_reasons(figures, log_odds, kinds))[0]


def _symptom_figures(given: DiagnosedOutcomes, kinds: Kinds) -> dict[str, Any]:
    """False alarms: good clips of matching pairs with a symptom. Misses: failed clips without one."""
    successes, good = given.outcomes.successes, given.outcomes.successes & given.matched
    has_any = np.array([bool(item) for item in kinds], bool)
    by_symptom = {}
    for kind in CLIP_SYMPTOMS:
        has = np.array([kind in item for item in kinds], bool)
        by_symptom[kind.value] = {
            "false_alarms": share(has[good]),
            "found": share(has[~successes]),
            "failed_of_those_with_it": share(~successes[has]),
        }
    return {"false_alarms": share(has_any[good]), "misses": share(~has_any[~successes]), "by_symptom": by_symptom}


def _name(kind: RemedyKind | None) -> str:
    return "" if kind is None else kind.value
