"""The diagnosis of a finished clip: measurements of its frames, symptoms, remedies.

``clip_watch.ClipWatch`` measures frames as they are decoded, ``likeness`` compares the scorer's features of some
frames, ``judgement.diagnose`` turns both into symptoms and remedies.
"""
