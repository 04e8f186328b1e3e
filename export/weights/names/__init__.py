"""Parameter names and configurations of every layout in which people have Wan2.2's components.

The exporter itself knows one name for each parameter: that of Diffusers' ``WanTransformer3DModel`` and
``AutoencoderKLWan`` and of transformers' ``UMT5EncoderModel``, the *inside* name. The other layouts are the official
repository's (also ComfyUI's single files and GGUF files of the transformer, with or without a prefix) and llama.cpp's
GGUF names of the text encoder. No layout stores a parameter in another shape; only GGUF files may flatten one.

* ``table``: one name table, both ways; ``transformer``, ``vae``, ``text_encoder``: the tables of each component;
* ``layout``: finds layout and prefix of a file from all of its names;
* ``configurations``: configurations from shapes, or from the official ``config.json``;
* ``other_models``: says what a file is that is no Wan2.2 image-to-video transformer.

Nothing here opens a file.
"""
