"""Match reports and diagnoses as text: coloured in a terminal, plain lines in a pipe."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stillcue.match import FindingSeverity, MatchVerdict
from stillcue.report_text import (
    NOTHING_TO_SHOW,
    clause_kind,
    describe_crop,
    describe_match,
    describe_motion,
    describe_picture,
    describe_subject,
    diagnosis_lines,
    finding_head,
    missing_words,
    numbered_remedies,
)
from stillcue.success_text import lowering_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from stillcue.diagnosis import Diagnosis
    from stillcue.match import (
        ClauseScore,
        MatchReport,
        PictureFinding,
        PromptFinding,
        PromptReport,
        TextSpan,
    )

_VERDICT_STYLES = {MatchVerdict.GOOD: "green", MatchVerdict.DOUBTFUL: "yellow", MatchVerdict.POOR: "red"}
_SEVERITY_STYLES = {
    FindingSeverity.ERROR: "red",
    FindingSeverity.WARNING: "yellow",
    FindingSeverity.INFO: "cyan",
}
_BAR_CELLS = 10
_LONGEST_SENTENCE = 600  # characters; longer prompts are cut for display


def print_match(console: Console, report: MatchReport, prompt: str) -> None:
    """Prints a match report: score, prompt, clauses, findings, picture, crops.

    A terminal wraps long lines with their indent; in a pipe each line stays whole.
    """
    style = f"bold {_VERDICT_STYLES.get(report.verdict, '')}"
    findings = report.prompt_report.findings if report.prompt_report is not None else ()
    parts: list[RenderableType] = [Text(describe_match(report), style=style)]
    parts += _indented("lowers the chance of success", [Text(line) for line in lowering_lines(report.success)])
    parts += ["", Padding(_sentence(prompt, report, findings), (0, 0, 0, 2), expand=False)]
    if report.clauses:
        parts += ["", _clause_table(report.clauses)]
    parts += _indented("not in the picture", _missing(report))
    parts += _indented("sentence", [line for item in findings for line in _finding(item)])
    parts += _rewritten(report.prompt_report)
    parts += _indented("picture", _picture(report))
    parts += _indented("crops", [Text(describe_crop(item)) for item in report.crops])
    for part in parts:
        if isinstance(part, Padding) and not console.is_terminal:
            console.print(Text.assemble(" " * part.left, part.renderable), highlight=False, soft_wrap=True)  # type: ignore[arg-type]
        else:
            console.print(part, highlight=False, soft_wrap=isinstance(part, Text) and not console.is_terminal)


def diagnosis_view(diagnosis: Diagnosis) -> RenderableType:
    """Returns the symptoms of a clip and the remedies, first the most promising; one line without symptoms."""
    if not diagnosis.symptoms:
        return Text("\n".join(diagnosis_lines(diagnosis)), style="green")
    lines = [Text(f"clip: {describe_motion(diagnosis)}", style="yellow")]
    lines += [Text.assemble("  ", ("! ", "yellow"), item.message) for item in diagnosis.symptoms]
    for head, message in numbered_remedies(diagnosis):
        style = "bold" if len(lines) == 1 + len(diagnosis.symptoms) else "dim"
        lines.append(Text.assemble("  ", (head, style), message))
    return Group(*lines)


def summarise_findings(report: MatchReport) -> Iterator[Text]:
    """Yields one line for each finding that may spoil a clip, to show while the clip is generated."""
    findings: list[PromptFinding | PictureFinding] = []
    findings += report.prompt_report.findings if report.prompt_report is not None else ()
    findings += report.picture_report.findings if report.picture_report is not None else ()
    for finding in findings:
        if finding.severity in {FindingSeverity.ERROR, FindingSeverity.WARNING}:
            yield Text.assemble((f"{finding.code} ", _SEVERITY_STYLES[finding.severity]), finding.message)


def _sentence(prompt: str, report: MatchReport, findings: tuple[PromptFinding, ...]) -> Text:
    """Returns the prompt coloured by clause; words with a finding are underlined in the colour of its severity."""
    text = Text("".join(" " if unicodedata.category(mark) == "Cc" else mark for mark in prompt))
    for clause in report.clauses:
        fit = clause.gated_probability
        text.stylize("dim" if fit is None else _fit_style(fit), *_edges(clause.span))
    for noun in report.missing_nouns:
        text.stylize("red strike", *_edges(noun.span))
    for finding in sorted(findings, key=lambda item: item.severity is FindingSeverity.ERROR):
        if finding.span is not None:
            style = f"underline {_SEVERITY_STYLES.get(finding.severity, '')}"
            text.stylize(style, *_edges(finding.span))
    if len(text) > _LONGEST_SENTENCE:
        text = text[:_LONGEST_SENTENCE] + Text("…")
    return text


def _edges(span: TextSpan) -> tuple[int, int]:
    return span.start, span.end


def _clause_table(clauses: tuple[ClauseScore, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  part", overflow="fold", max_width=44)
    table.add_column("tells")
    table.add_column("fits the picture", no_wrap=True)
    table.add_column("counts", justify="right")
    for clause in clauses:
        counts = f"{100 * clause.weight:.0f} %" if clause.weight else ""
        table.add_row(Text(f"  {clause.text}"), clause_kind(clause), _bar(clause.gated_probability), counts)
    return table


def _bar(probability: float | None) -> Text:
    if probability is None:
        return Text(NOTHING_TO_SHOW, style="dim")
    filled = round(_BAR_CELLS * probability)
    return Text.assemble(
        ("█" * filled, _fit_style(probability)), ("·" * (_BAR_CELLS - filled), "dim"), f" {100 * probability:3.0f} %"
    )


def _fit_style(probability: float) -> str:
    return "green" if probability >= 0.7 else "yellow" if probability >= 0.4 else "red"


def _missing(report: MatchReport) -> list[Text]:
    words = missing_words(report)
    return [Text(words, style="red")] if words else []


def _finding(finding: PromptFinding | PictureFinding) -> Iterator[Text]:
    style = _SEVERITY_STYLES.get(finding.severity, "")
    yield Text.assemble((finding_head(finding), style), f"  {finding.message}")
    yield Text(f"→ {finding.suggestion}", style="dim")


def _rewritten(report: PromptReport | None) -> list[RenderableType]:
    if report is None or report.rewritten_prompt is None:
        return []
    lines = [Text(report.rewritten_prompt, style="bold")]
    if report.negative_prompt_additions:
        lines.append(Text(f"and in the negative prompt: {', '.join(report.negative_prompt_additions)}", style="dim"))
    return _indented("better", lines)


def _picture(report: MatchReport) -> list[Text]:
    lines = [] if report.picture_report is None else [Text(describe_picture(report.picture_report))]
    if place := describe_subject(report.grounding):
        lines.append(Text(place))
    findings = report.picture_report.findings if report.picture_report is not None else ()
    return lines + [line for item in findings for line in _finding(item)]


def _indented(heading: str, lines: list[Text]) -> list[RenderableType]:
    return (
        ["", Text(heading, style="bold"), *(Padding(line, (0, 0, 0, 2), expand=False) for line in lines)]
        if lines
        else []
    )
