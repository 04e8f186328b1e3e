"""Reads what decoders do not tell or do not check: colour chunks, frames, pages, compressions, coded sizes."""
