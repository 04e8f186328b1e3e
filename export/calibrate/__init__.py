"""Calibrates a bundle's scorer: fits probabilities on labelled pairs, measures them on others, writes the manifest."""
