"""Layouts in which people have a checkpoint: where each component lies, and what the layout leaves out.

``opening`` chooses the layout of a folder; ``diffusers``, ``official`` and ``comfyui`` find the components;
``pipeline_settings`` holds what a family states beside its weights: scheduler, boundary, conditioning.
"""
