"""What is made from the definitions of the ComfyUI pack: example workflows, translations, tables of the page.

``definitions`` reads the pack's nodes and the recorded core nodes, ``graph`` turns one description into both of
ComfyUI's formats, ``notes`` holds the texts of the notes, ``examples`` describes the two workflows.
"""
