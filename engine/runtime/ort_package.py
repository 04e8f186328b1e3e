"""The package behind the module ``onnxruntime``: two packages provide it, and an environment should hold one of them.

``onnxruntime`` computes on the CPU, ``onnxruntime-gpu`` on CUDA too. Installed both, one lies on the other's files.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_CPU_PACKAGE, _CUDA_PACKAGE = "onnxruntime", "onnxruntime-gpu"
# Both go first, because they wrote the same files; the extra of this project would bring both again.
INSTALL_CUDA = (
    f"pip uninstall --yes {_CPU_PACKAGE} {_CUDA_PACKAGE} && "
    f"pip install '{_CUDA_PACKAGE}[cuda,cudnn]' 'cuda-bindings>=13.0' 'nvidia-ml-py>=13.580'"
)


def has_cuda() -> bool:
    """True if the module was built for CUDA. Imports nothing of CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def missing_cuda() -> str:
    """Why the module has no CUDA, by the installed packages, and the commands that mend it."""
    cpu, cuda = _version(_CPU_PACKAGE), _version(_CUDA_PACKAGE)
    if cuda is None:
        held = f"{_CPU_PACKAGE} {cpu}, which computes on the CPU only" if cpu else "a build without CUDA"
    elif cpu is None:
        held = f"{_CUDA_PACKAGE} {cuda}, but another module onnxruntime is found first"
    else:
        held = f"{_CPU_PACKAGE} {cpu} on top of {_CUDA_PACKAGE} {cuda}: both provide one module, keep the second alone"
    if (platform.system(), platform.machine()) == ("Linux", "aarch64"):
        return f"the environment holds {held}; {_CUDA_PACKAGE} has no build for this machine on PyPI"
    return f"the environment holds {held}; run: {INSTALL_CUDA}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
