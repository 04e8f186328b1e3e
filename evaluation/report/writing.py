"""Writes the report of a run: a page and its figures."""

from __future__ import annotations

from pathlib import Path

from evaluation.report.comparison import compare_arms
from evaluation.report.evidence import Evidence
from evaluation.report.fits import fit
from evaluation.report.page import write_page
from evaluation.report.remedy_effect import remedy_effects
from evaluation.report.sections.advice import advice_section
from evaluation.report.sections.arms import arms_section
from evaluation.report.sections.attempts import attempts_section
from evaluation.report.sections.chance import chance_section
from evaluation.report.sections.claim import claim_section
from evaluation.report.sections.curves import guidance_section, steps_section
from evaluation.report.sections.diagnosis import diagnosis_section
from evaluation.report.sections.examples import examples_section
from evaluation.report.sections.introduction import introduction
from evaluation.report.sections.metrics import metrics_section
from evaluation.report.sections.pictures import pictures_section
from evaluation.report.sections.remedies import remedies_section

TITLE = "Evidence: does match decide quality?"


def write_report(folder: Path, page: Path, pictures: Path) -> None:
    """Writes ``page`` and the figures in ``pictures`` from the run in ``folder``.

    The same clips give the same bytes. Raises ``EvaluationError`` for a folder without clips and for damaged files; a
    section without its clips says what is missing.
    """
    evidence = Evidence.read(folder)
    comparisons, effects, fits = compare_arms(evidence), remedy_effects(evidence), fit(evidence)
    sections = [
        claim_section(evidence),
        advice_section(evidence, comparisons, effects),
        arms_section(evidence, comparisons),
        guidance_section(evidence),
        steps_section(evidence),
        pictures_section(evidence, comparisons),
        remedies_section(evidence, effects),
        metrics_section(evidence, fits),
        chance_section(evidence, fits),
        diagnosis_section(evidence, fits),
        attempts_section(evidence),
        examples_section(evidence),
    ]
    write_page(page, pictures, TITLE, introduction(evidence, comparisons), sections)
