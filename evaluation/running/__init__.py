"""Runs a plan in several processes, keeps every clip at once, and goes on where an interrupted run stopped."""
