"""How good the trained model is: generated clips measured against the drawn truth."""
