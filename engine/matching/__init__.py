"""The match report: how well a picture and a sentence match, why, and where in the picture the subject is.

``scorer`` runs the steps: ``embedding`` turns pictures and sentences into vectors (cached, in shared batches),
``statements`` makes the sentences to score for each clause, ``contrast`` compares their logits with those of other
sentences, ``score`` computes probabilities and the score, ``grounding`` finds the subject. ``enrichment`` adds the
prompt and picture reports, ``review`` scores frames of the finished clip. Formulas: docs/scoring.md.
"""
