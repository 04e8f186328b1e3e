"""The starter set: pictures that may be shipped, with sentences of every arm, to measure a bundle of a real checkpoint.

``pictures.toml`` lists the pictures, ``sentences.toml`` the words. ``photographs`` names those of scikit-image with
their licences, ``drawing`` draws the others; ``pairs`` makes the sentences, ``writing`` the folder.
"""
