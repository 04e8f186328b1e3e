"""The error of the commands of this package."""


class EvaluationError(Exception):
    """A plan, a file of pairs or a folder that cannot be used. The message names the file, the fault and the remedy."""
