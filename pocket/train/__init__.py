"""Training of the small model; everything here needs torch."""
