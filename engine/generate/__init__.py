"""The life of a clip: text and image encoding, denoising, decoding.

``clip_run`` runs the stages of a clip in order, ``chain_run`` the segments of a longer one.
"""
