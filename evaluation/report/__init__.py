"""The page of an evaluation, from the folder of a run.

``write_report`` reads plan and clips (``evidence.py``), compares arms (``comparison.py``, ``remedy_effect.py``), fits
success (``fits.py``), and writes one section after the other (``sections/``) with their figures (``drawing/``). Every
word that depends on the outcome is chosen by the figures.
"""

from evaluation.report.writing import write_report

__all__ = ["write_report"]
