"""``python -m scripts.docs_tables`` rewrites the tables of ``docs/`` that are made from the code.

Each table stands between ``<!-- table NAME: python -m scripts.docs_tables -->`` and ``<!-- end of table -->``. Tests
compare the pages with the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.capacity.paper import JOBS_PER_HOUR, cards_rows, transfer_rows
from engine.analysis.picture.findings import picture_finding_table
from engine.analysis.prompt.findings import FindingRow, finding_table
from engine.api.prompt_report import Language
from engine.bundle.folder import parse_manifest
from engine.media.formats import HEIF_MISSING, READ_FORMATS
from engine.media.refused_files import REFUSED_FILES
from export.weights.lora.forms import ACCEPTED, REFUSED
from scripts import success_tables
from scripts.caller_tables import address_rows, frame_rate_rows
from scripts.comfyui.page import INPUT_HEADS, OUTPUT_HEADS, node_rows
from server.errors.rules import all_rules
from server.observability.metrics import Metrics
from server.rpc.codec.fields import GENERATE_PATHS
from server.settings import setting_rows

DOCUMENTATION = Path(__file__).parent.parent / "docs"
_BEGIN = "<!-- table {}: python -m scripts.docs_tables -->\n"
_END = "<!-- end of table -->\n"


def settings_table() -> str:
    """One row for each setting of the server."""
    return _table(
        ("flag", "environment", "default", "meaning"),
        (
            (f"`{row.flag}`", f"`{row.environment}`", f"`{row.default}`" if row.default else "", row.meaning)
            for row in setting_rows()
        ),
    )


def metrics_table() -> str:
    """One row for each metric of the server."""
    return _table(
        ("metric", "type", "labels", "meaning"),
        (
            (f"`{row.name}`", row.kind, ", ".join(f"`{label}`" for label in row.labels), row.meaning)
            for row in Metrics().rows
        ),
    )


def errors_table() -> str:
    """One row for each reason with which a call can fail."""
    return _table(
        ("reason", "status", "retry after", "meaning"),
        (
            (
                f"`{rule.reason}`",
                f"`{rule.code.name}`",
                f"{rule.retry_seconds:g} s" if rule.retry_seconds else "",
                rule.meaning,
            )
            for rule in all_rules()
        ),
    )


def prompt_findings_sections() -> str:
    """One section for each finding on prompts: the check, the severity, the messages in both languages."""
    return "\n".join(map(_prompt_finding_section, finding_table().values()))


def picture_findings_table() -> str:
    """One row for each finding on pictures."""
    return _table(
        ("code", "severity", "what is looked for", "message", "suggestion"),
        (
            (
                f"`{row.code}`",
                row.severity.value,
                row.check,
                _in_both_languages(row.message),
                _in_both_languages(row.suggestion),
            )
            for row in picture_finding_table().values()
        ),
    )


def checkpoint_forms_table() -> str:
    """One row for each form of stored weights, read or refused."""
    from export.weights.files.gguf_file import READABLE_TYPES
    from export.weights.quantised_forms import READABLE_FORMS, UNREADABLE_FORMS

    read = [(name, "read", note) for name, note in READABLE_FORMS]
    read.append(("GGUF: " + ", ".join(READABLE_TYPES), "read", "dequantised piece by piece"))
    refused = [
        (name, "refused", f"… is quantised in the form of {name} (…), which cannot be read; give the file in …")
        for _, name in UNREADABLE_FORMS
    ]
    return _table(("form", "", "what one gets"), (*read, *refused))


def checkpoint_files_table() -> str:
    """One row for each kind of file that lies where weights are expected."""
    from export.weights.files.recognition import OTHER_FORMATS

    rows = dict.fromkeys((what, f"FILE is {what}; {remedy}") for _, _, what, remedy in OTHER_FORMATS)
    return _table(("file", "sentence"), rows)


def addresses_table() -> str:
    """One row for each kind of address that people write."""
    return _table(("address", "the client answers", "`--listen` answers"), address_rows())


def frame_rates_table() -> str:
    """One row for each frame rate: the number, and the exact rate that it stands for."""
    return _table(("given", "frames per second of the mp4 file"), frame_rate_rows())


def adapter_forms_table() -> str:
    """One row for each form of adapters, fused or refused."""
    return _table(
        ("form", "keys end in", "outcome"),
        (
            (
                form.name,
                "<br>".join(f"`{key}`" for key in form.keys),
                f"refused: “FILE: {form.refusal} (KEY)”" if form.refusal else f"fused: {form.effect}",
            )
            for form in (*ACCEPTED, *REFUSED)
        ),
    )


def picture_formats_table() -> str:
    """One row for each format of pictures that is read."""
    return _table(
        ("format", "bits of a channel", "channels and colours", "notes"),
        ((row.name, row.bits, row.colours, row.notes) for row in READ_FORMATS),
    )


def refused_files_table() -> str:
    """One row for each kind of file that is refused as a picture, with the sentence."""
    rows = [(row.name, f"`image.data` {row.description}") for row in REFUSED_FILES]
    return _table(("file", "sentence"), [("HEIC without the extra", f"`image.data` {HEIF_MISSING}"), *rows])


def comfyui_nodes_sections() -> str:
    """One section for each node of the ComfyUI pack: what it does, its inputs, its outputs."""
    return "\n".join(
        f"### {title}\n\n{text}\n\n{_table(INPUT_HEADS, inputs)}\n{_table(OUTPUT_HEADS, outputs)}"
        for title, text, inputs, outputs in node_rows()
    )


def pair_figures_table() -> str:
    """One row for each figure that the chance before a clip may depend on."""
    heads = ("figure", "meaning", "without a fault", "more of it … the chance", "its remedy")
    return _table(heads, success_tables.pair_figure_rows())


def clip_figures_table() -> str:
    """One row for each figure that the judged success of a clip may depend on besides."""
    heads = ("figure", "meaning", "flawless", "more of it … the chance")
    return _table(heads, success_tables.clip_figure_rows())


def thresholds_table() -> str:
    """One row for each threshold of the diagnosis, with pocket's."""
    scorer = parse_manifest(success_tables.FIGURES_FILE.parent).scorer
    assert scorer is not None
    return _table(("threshold", "default", "pocket"), success_tables.threshold_rows(scorer.diagnosis))


def _measured_table(heads: tuple[str, ...], rows: Callable[[Mapping[str, Any]], Iterable[tuple[str, ...]]]) -> str:
    figures = success_tables.measured()
    return success_tables.NOT_MEASURED if figures is None else _table(heads, rows(figures))


def chances_table() -> str:
    """Errors of pocket's chances, held out."""
    heads = ("chance", "Brier score", "calibration error", "area under curve")
    return _measured_table(heads, success_tables.chance_rows)


def single_figures_table() -> str:
    """One row for each figure alone, on pocket."""
    heads = ("figure", "area under curve", "within arms")
    return _measured_table(heads, success_tables.single_figure_rows)


def symptoms_table() -> str:
    """False alarms and finds of pocket's symptoms, held out."""
    heads = ("symptom", "false alarms in good clips of matching pairs", "failed clips that have it")
    return _measured_table(heads, success_tables.symptom_rows)


def remedies_table() -> str:
    """Shares of pocket's failed clips whose right remedy comes first, held out."""
    return _measured_table(("failed clips", "right remedy first"), success_tables.remedy_rows)


def cards_table() -> str:
    """Cards for each clip and rate of arrivals, on paper."""
    return _table(("card", "clip", "time", *(f"{rate:,} an hour" for rate in JOBS_PER_HOUR)), cards_rows())


def bundles_table() -> str:
    """Times of bundles on their way over a network."""
    heads = ("1 Gbit/s", "10 Gbit/s", "100 machines from one source of 1 Gbit/s", "of 10 Gbit/s")
    return _table(("bundle", "size", *heads), transfer_rows())


# Page, name and content of each table.
TABLES: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("settings.md", "settings", settings_table),
    ("metrics.md", "metrics", metrics_table),
    ("errors.md", "errors", errors_table),
    ("findings.md", "prompt findings", prompt_findings_sections),
    ("findings.md", "picture findings", picture_findings_table),
    ("inputs.md", "forms of weights", checkpoint_forms_table),
    ("inputs.md", "files in place of weights", checkpoint_files_table),
    ("inputs.md", "addresses", addresses_table),
    ("inputs.md", "frame rates", frame_rates_table),
    ("inputs.md", "adapter forms", adapter_forms_table),
    ("inputs.md", "picture formats", picture_formats_table),
    ("inputs.md", "refused files", refused_files_table),
    ("comfyui.md", "nodes", comfyui_nodes_sections),
    ("scoring.md", "figures of a pair", pair_figures_table),
    ("capacity.md", "cards", cards_table),
    ("capacity.md", "bundles", bundles_table),
    ("scoring.md", "chances of pocket", chances_table),
    ("scoring.md", "single figures of pocket", single_figures_table),
    ("diagnosis.md", "figures of a clip", clip_figures_table),
    ("diagnosis.md", "thresholds", thresholds_table),
    ("diagnosis.md", "symptoms of pocket", symptoms_table),
    ("diagnosis.md", "remedies of pocket", remedies_table),
)


def updated(page_name: str, text: str) -> str:
    """The text of a page with its tables replaced. Raises ``ValueError`` for a page that lacks a table's markers."""
    for page, name, content in TABLES:
        if page != page_name:
            continue
        before, begin, rest = text.partition(_BEGIN.format(name))
        _, end, after = rest.partition(_END)
        if not begin or not end:
            raise ValueError(f"{page} lacks the markers of the table {name}")
        text = f"{before}{begin}{content()}{end}{after}"
    return text


def main() -> None:
    """Rewrites the pages in place."""
    for page in dict.fromkeys(page for page, _, _ in TABLES):
        path = DOCUMENTATION / page
        path.write_text(updated(page, path.read_text(encoding="utf-8")), encoding="utf-8")


def _prompt_finding_section(row: FindingRow) -> str:
    heads = f"### {row.code} {row.title[Language.EN]} · {row.title[Language.ZH]}\n\n"
    example = f"{row.example[Language.EN]} · {row.example[Language.ZH]}"
    check = f"`{GENERATE_PATHS[row.field]}`: {row.check}. For example: {example}\n\n"
    cases = (
        (
            case.name,
            case.severity.value,
            _in_both_languages(case.message),
            _in_both_languages(case.suggestion),
        )
        for case in row.cases.values()
    )
    return f"{heads}{check}{_table(('case', 'severity', 'message', 'suggestion'), cases)}"


def _in_both_languages(texts: Mapping[Language, str]) -> str:
    return f"{texts[Language.EN]}<br>{texts[Language.ZH]}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
