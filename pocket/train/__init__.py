"""Training of the pocket model. Needs torch."""
