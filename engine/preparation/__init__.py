"""Checks jobs and score requests, fills in defaults, prepares the picture. Runs no graph."""
