"""``python -m stillcue.cli`` is the same as ``stillcue``."""

import sys

from stillcue.cli import main

sys.exit(main())
