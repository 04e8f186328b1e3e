"""Finds what people paste along with a sentence: time marks, parameters, JSON, list numbers, syntax of other programs.

``marks.find_marks`` finds everything of these kinds in the text that the model is given; ``prompt_text`` leaves it out
of the sentence that rules and scorer read, and the check of ``pasted`` text tells it.
"""
