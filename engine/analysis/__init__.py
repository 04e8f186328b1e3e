"""What the engine says about a sentence, a picture and a finished clip, by rules and without a model."""
