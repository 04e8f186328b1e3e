"""Measures whether the match of picture and sentence decides the quality of clips."""
