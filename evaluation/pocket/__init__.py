"""Cases from pocket's drawn world, and their truth: what the clip should look like is drawn and compared."""
