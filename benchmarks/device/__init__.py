"""The official sizes on one datacentre card through torch: ceilings, an expert, the autoencoder, the text encoder.

One file a step; ``__main__`` runs them in order. Weights are drawn on the card: times and memory are true, pictures
mean nothing.
"""
