"""Colours of a picture file to sRGB: embedded ICC profiles, and colour spaces that a file names by number."""
