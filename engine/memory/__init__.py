"""Memory planning: which graphs are in memory when, and what would fit if a job does not.

``demand`` holds what a job needs, ``measure`` reads that from a manifest, ``placement`` chooses which graphs stay,
``plan`` makes the plan of a bundle, ``remedies`` computes what would fit. All of these are pure. ``graphs`` and
``swapping`` load and unload graphs as the plan says.
"""
