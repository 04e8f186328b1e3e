"""What is made from the definitions of the ComfyUI pack: example workflows, translations, tables of the page.

``definitions`` reads the pack's nodes and the recorded core nodes; ``graph`` describes a workflow, and ``api_form`` and
``interface_form`` turn it into ComfyUI's formats; ``examples`` and ``notes`` are the two workflows and their texts;
``page`` gives the rows of ``docs/comfyui.md``.
"""
