"""``python -m engine.analysis.prompt.document`` rewrites the table of ``docs/findings.md`` from the table of findings.

The page can only be out of date, never wrong; a test refuses the former.
"""

from __future__ import annotations

from pathlib import Path

from engine.analysis.prompt.findings import FindingCase, FindingRow, finding_table
from engine.api.prompt_report import Language

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "findings.md"
_BEGIN = "<!-- table: python -m engine.analysis.prompt.document -->\n"
_END = "<!-- end of table -->\n"


def findings_in_markdown() -> str:
    """One section for each finding: what is checked, how grave it is, what a person is told in both languages."""
    return "\n".join(map(_section, finding_table().values()))


def with_findings(page: str) -> str:
    """A page with the part between its marks replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{findings_in_markdown()}{_END}{after}"


def main() -> None:
    """Rewrites the page in place."""
    partial = PAGE.with_name(PAGE.name + ".partial")
    partial.write_text(with_findings(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    partial.replace(PAGE)


def _section(row: FindingRow) -> str:
    heads = f"### {row.code} {row.title[Language.EN]} · {row.title[Language.ZH]}\n\n"
    check = f"`{row.field}`: {row.check}. For example: {row.example[Language.EN]} · {row.example[Language.ZH]}\n\n"
    rows = "".join(map(_row, row.cases.values()))
    return f"{heads}{check}| case | severity | message | suggestion |\n| --- | --- | --- | --- |\n{rows}"


def _row(case: FindingCase) -> str:
    message = f"{case.message[Language.EN]}<br>{case.message[Language.ZH]}"
    suggestion = f"{case.suggestion[Language.EN]}<br>{case.suggestion[Language.ZH]}"
    return f"| {case.name} | {case.severity.value} | {message} | {suggestion} |\n"


if __name__ == "__main__":
    main()
