"""Names of the video stream in the package ``stillcue``; goes when the package has them."""

from typing import Any

import stillcue


class _Missing:
    """Stands for a class that the package does not have yet."""


_package: Any = stillcue
VideoChunk: Any = getattr(_package, "VideoChunk", _Missing)
VideoContainer: Any = getattr(_package, "VideoContainer", None)
VideoCodec: Any = getattr(_package, "VideoCodec", None)
