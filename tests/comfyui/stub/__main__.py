"""``python -P tests/comfyui/stub/__main__.py FOLDER``: serves on a free port, which is printed as a line."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # The package is found under the name of its folder, so that no other module of the repository is.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import_module("stub.program").main(Path(sys.argv[1]))
