"""Chains of pocket's clips: ways to join segments, compared; what a chain costs; tables and pictures of both."""
