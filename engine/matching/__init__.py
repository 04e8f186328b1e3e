"""How well a picture and a sentence match, why, and where in the picture the subject is.

``Scorer`` is the door. Behind it: ``embedding`` turns pictures and sentences into vectors (each once, in batches),
``statements`` says which sentences are asked about a clause, ``contrast`` holds their logits against others,
``score`` makes probabilities and a score of them, ``grounding`` finds the subject. Formulas: docs/scoring.md.
"""

from __future__ import annotations

from engine.matching.scorer import Scorer

__all__ = ["Scorer"]
