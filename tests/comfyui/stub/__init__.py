"""A small program with ComfyUI's end points, validation and executor, for tests without ComfyUI.

It has the names that the pack's ``host`` and the test packs use, written from what ComfyUI 0.3.64 does over HTTP. It is
at least as strict: unknown inputs, results of the wrong length and outputs of the wrong type are errors.

``__main__`` runs it in a process of its own, in which ``server``, ``nodes`` and ``comfy`` are the stub's modules.
"""
