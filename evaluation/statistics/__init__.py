"""Statistics of shares and of clips that share their pairs: intervals, differences, tests, areas under curves.

Shares of one arm: ``share.py``. Two arms: ``difference.py`` (interval and size of the effect) and ``significance.py``
(exact tests, and their correction when many are made). How well a figure tells success: ``area.py``.
"""
