"""Divides a sentence by its stages: pieces with their stages, their roles, and a sentence for each stage.

``division.divide_sentence`` is the way in.
"""
