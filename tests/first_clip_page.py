"""docs/first-clip.md as steps in the order of the page: commands of console blocks, and blocks of other kinds."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TEXT = (Path(__file__).parents[1] / "docs" / "first-clip.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of a console block, as words, or the text of a whole block of another kind."""

    kind: Literal["console", "python", "json", "text"]
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    def __str__(self) -> str:
        return self.text


def steps() -> list[Step]:
    """Every step of the page. Lines of a console block that do not begin with ``$`` continue the command before."""
    found: list[Step] = []
    for kind, content in _BLOCK.findall(TEXT):
        if kind == "console":
            joined = content.replace("\\\n", " ")
            assert all(line.startswith("$ ") for line in joined.splitlines()), joined
            found += [Step("console", line.removeprefix("$ ")) for line in joined.splitlines()]
        else:
            found.append(Step(kind, content))
    return found


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the table whose header begins with ``heading``."""
    rows = TEXT.partition(f"\n| {heading} |")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
