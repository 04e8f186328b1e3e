"""Measures what decides the quality of a clip: many clips under stated conditions, judged, counted and compared.

``plan`` reads what to measure, ``pocket`` and ``pairs`` make the cases (picture, sentence, settings), ``making`` makes
the clips with an engine or a server, ``running`` runs a plan so that it can be interrupted, ``record`` is what is kept
of a clip, ``report`` writes the page. ``starter`` writes pairs for a real checkpoint.
"""
