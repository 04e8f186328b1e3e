"""The life of a clip: text and image encoding, denoising, decoding. ``clip_run`` runs the stages in order,
``chain_run`` the segments of a longer clip.
"""
