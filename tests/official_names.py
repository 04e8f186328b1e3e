"""Names and shapes of all tensors in the official files, as the official modules create them.

``official_names.txt`` lists them: ``a14b`` and ``5b`` (``wan/modules/model.py``), ``vae16`` (``vae2_1.py``), ``vae48``
(``vae2_2.py``), ``umt5`` (``t5.py``), each constructed with the configuration of ``wan/configs/``. ``blocks.0-39.`` in
a line stands for 40 blocks.
"""

from __future__ import annotations

import re
from pathlib import Path

Shapes = dict[str, tuple[int, ...]]

_LIST = Path(__file__).with_name("official_names.txt")


def official_shapes(component: str) -> Shapes:
    """Shapes by official name, in the order of the official module."""
    section = _LIST.read_text(encoding="utf-8").split(f"[{component}]\n")[1].partition("[")[0]
    shapes: Shapes = {}
    blocks: dict[str, tuple[int, ...]] = {}
    count = 0
    for line in section.splitlines():
        name, _, lengths = line.partition(" ")
        shape = tuple(int(length) for length in lengths.split("x"))
        found = re.fullmatch(r"blocks\.0-(\d+)\.(.+)", name)
        if found is None:
            shapes[name] = shape
        else:
            count, blocks[found[2]] = int(found[1]) + 1, shape
    return shapes | {f"blocks.{block}.{name}": shape for block in range(count) for name, shape in blocks.items()}
