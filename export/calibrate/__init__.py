"""A scorer's numbers become probabilities: fitted on labelled pairs, judged on others, written into the manifest."""
