"""Files of weights: formats, and what a file is that is no file of weights. Knows no model."""
