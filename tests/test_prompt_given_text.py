"""Rules and scorer read exactly the text that the model is given, and places are those of the prompt as it was sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.analysis.prompt.clauses import parse_clauses
from engine.analysis.prompt.given_text import clean_prompt, given_text
from engine.analysis.prompt.report import report_prompt
from engine.api.prompt_report import ClauseKind, Span

_PIECES = st.sampled_from(
    [
        *(
            "&amp;",
            "&amp;lt;",
            "<b>",
            "&nbsp;",
            "&#x20;",
            "&lt",
            "â€™",
            "Ã©",
            "Ã ",
            "\u200b",
            "\x1c",
            "\u3000",
            "ﬁ",
            "\r\n",
        ),
        *(
            "猫",
            "“",
            "，",
            "Ａ",
            "e\u0301",
            "\x1b[31m",
            "&amp;quot;",
            "\ud800",
            "…",
            "\u00a0",
            "\n",
            " ",
            "a cat",
            "\ufeff",
        ),
    ]
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.one_of(st.text(), st.lists(st.one_of(_PIECES, st.text(max_size=3))).map("".join)))
def test_the_map_gives_the_cleaned_text_and_a_place_for_each_character(prompt: str) -> None:
    read = given_text(prompt)
    assert read.text == clean_prompt(prompt)
    assert len(read.starts) == len(read.ends) == len(read.text)
    assert list(read.starts) == sorted(read.starts)
    assert list(read.ends) == sorted(read.ends)
    assert all(0 <= start < end <= len(prompt) for start, end in zip(read.starts, read.ends, strict=True))
    for index, (start, end) in enumerate(zip(read.starts, read.ends, strict=True)):
        place = read.of_prompt(Span(start, end))
        assert place.start <= index < place.end


@pytest.mark.parametrize(
    ("prompt", "clauses"),
    [
        ("A red car slowly\nrolls to the right.", [("A red car", "A red car"), ("slowly\nrolls to the right",) * 2]),
        (
            "&quot;A red car&quot;\r\n slowly\u00a0rolls to the right",
            [("A red car", "A red car"), ("slowly\u00a0rolls to the right", "slowly rolls to the right")],
        ),
        ("A cat &amp;amp; a dog run", [("A cat &amp;amp; a dog", "A cat & a dog"), ("run", "run")]),
        ("Ａ　ｃａｔ，jumps off the sofa", [("Ａ　ｃａｔ", "A cat"), ("jumps off the sofa",) * 2]),
        ("A cafe\u0301 owner\topens the door", [("A cafe\u0301 owner", "A café owner"), ("opens the door",) * 2]),
        ("schÃ¶n: A cat jumps up", [("schÃ¶n", "schön"), ("A cat",) * 2, ("jumps up",) * 2]),
        ("<b>The cat&#39;s</b> mouse jumps", [("The cat&#39;s</b> mouse", "The cat's mouse"), ("jumps",) * 2]),
        ("一位女孩\u3000缓缓&#x8F6C;身", [("一位女孩",) * 2, ("缓缓&#x8F6C;身", "缓缓转身")]),
        ("\ufeffA\u200b cat jumps off the sofa", [("A\u200b cat", "A\u200b cat"), ("jumps off the sofa",) * 2]),
    ],
    ids=["newline", "entities", "twice", "full-width", "combining", "mojibake", "tags", "Chinese", "invisible"],
)
def test_clauses_have_the_given_text_and_the_callers_places(prompt: str, clauses: list[tuple[str, str]]) -> None:
    found = [(prompt[item.span.start : item.span.end], item.text) for item in parse_clauses(prompt)]
    expected = [(place, " ".join(text.split()) if place == text else text) for place, text in clauses]
    assert found[: len(expected)] == expected


def test_findings_have_the_callers_places() -> None:
    prompt = "&quot;A&quot; stunning\r\n\u3000epic &amp; red car slowly\nrolls to the right,\n\nno people"
    found = {item.code: item.span for item in report_prompt(prompt).findings}
    assert {code: prompt[span.start : span.end] for code, span in found.items() if span is not None} == {
        "W09": "stunning\r\n\u3000epic",
        "W13": "no people",
    }


def test_what_is_missing_is_named_at_its_place() -> None:
    prompt = "&lt;&lt; A cat\u3000jumps over a\r\nparked car"
    nouns = [noun for clause in parse_clauses(prompt) for noun in clause.nouns if noun.text == "car"]
    (finding,) = [f for f in report_prompt(prompt, absent_nouns=[n.span for n in nouns]).findings if f.code == "W20"]
    assert finding.span is not None
    assert prompt[finding.span.start : finding.span.end] == "car"
    assert "“car”" in finding.message


@pytest.mark.parametrize(
    "prompt",
    [
        "A red car\nslowly rolls to the right, then stops",
        "[0s-2s] A red car rolls away.\r\n[2s-4s]\tIt stops, no people",
        "&quot;请让&quot;女孩&nbsp;缓缓转身，不要文字",
        "１．Ａ cat jumps　２．The cat sits",
    ],
)
def test_the_report_is_that_of_the_given_text(prompt: str) -> None:
    """Equal text for the model, equal report."""
    plain, sent = report_prompt(clean_prompt(prompt)), report_prompt(prompt)
    assert [(item.kind, item.text, item.stage) for item in sent.clauses] == [
        (item.kind, item.text, item.stage) for item in plain.clauses
    ]
    assert [(item.code, item.message) for item in sent.findings] == [(i.code, i.message) for i in plain.findings]
    assert sent.rewritten_prompt == plain.rewritten_prompt


def test_the_subject_of_a_prompt_with_entities_is_its_subject() -> None:
    (subject,) = [item for item in parse_clauses("&quot;A red car&quot; rolls") if item.kind is ClauseKind.SUBJECT]
    assert [noun.text for noun in subject.nouns] == ["car"]
