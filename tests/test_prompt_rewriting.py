"""A rewritten prompt is never worse than the original, whatever was pasted along with it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.prompt_findings import SETS, labelled
from engine.analysis.prompt.given_text import clean_prompt
from engine.analysis.prompt.report import report_prompt
from engine.api.prompt_report import ClauseKind, PromptReport, Severity

_LABELLED = [row["text"] for name in SETS for row in labelled(name)]
_WEIGHTS = {Severity.ERROR: 4, Severity.WARNING: 2, Severity.INFO: 1}
_BEFORE = st.sampled_from(
    [
        "",
        "[0s-2s] ",
        "1. ",
        "Prompt: ",
        "&quot;",
        "Please make ",
        "a 10 second video of ",
        "请让",
        "第1秒：",
        "- ",
        "(",
        "【",
        "“",
    ]
)
_AFTER = st.sampled_from(
    [
        *(
            "",
            ".",
            "..",
            " [2s-4s] It stops.",
            "\n2. it turns around",
            "\nNegative prompt: blurry, text",
            "，不要文字不要水印",
        ),
        *(
            ", no people, without text.",
            " --ar 16:9 --no hats",
            "，4K，60帧",
            " <lora:x:0.8>",
            ", masterpiece, best quality",
        ),
        *(
            "。10秒视频",
            "\nSteps: 20, CFG scale: 7, Seed: 1",
            "！！",
            " for 3 seconds",
            " (fur:1.3)",
            "&quot;",
            ")",
            "\n- it jumps",
        ),
    ]
)


def _judged(text: str) -> PromptReport | None:
    """The report on the rewriting of a text, after all of its properties were checked; None without a rewriting."""
    before = report_prompt(text)
    rewritten = before.rewritten_prompt
    if rewritten is None:
        return None
    after = report_prompt(rewritten)
    assert rewritten != clean_prompt(text)
    assert after.language is before.language
    kinds = [Counter((finding.code, finding.case) for finding in report.findings) for report in (before, after)]
    assert kinds[1] <= kinds[0], rewritten
    weights = [sum(_WEIGHTS[finding.severity] for finding in report.findings) for report in (before, after)]
    assert weights[1] < weights[0], rewritten
    for opening, closing in ("()", "[]", "{}", "（）", "【】", "「」", "“”"):
        assert rewritten.count(opening) == rewritten.count(closing), rewritten
    assert rewritten.count('"') % 2 == 0, rewritten
    assert re.search(r"[^\s.。!?！？,，;；:：、][.。!?！？…][\"”」』)）】]*$", rewritten), rewritten
    assert not re.search(r"[,，;；:：、.。!?！？] ?[,，;；:：、.。!?！？]|\s\s|^\s|\s$", rewritten), rewritten
    nouns = [
        {
            noun.text.casefold()
            for clause in report.clauses
            if clause.kind is ClauseKind.SUBJECT
            for noun in clause.nouns
        }
        for report in (before, after)
    ]
    first = next((clause for clause in before.clauses if clause.kind is ClauseKind.SUBJECT), None)
    assert first is None or {noun.text.casefold() for noun in first.nouns} <= nouns[1], rewritten
    return after


def test_no_rewriting_of_a_labelled_prompt_is_worse() -> None:
    rewritten = [report for report in map(_judged, _LABELLED) if report is not None]
    assert len(rewritten) > 100  # the property says nothing about prompts that are left alone


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_BEFORE, st.sampled_from(_LABELLED), st.lists(_AFTER, max_size=3).map("".join))
def test_no_rewriting_of_a_pasted_prompt_is_worse(before: str, text: str, after: str) -> None:
    _judged(before + text + after)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.one_of(_BEFORE, _AFTER, st.sampled_from(_LABELLED), st.text(max_size=4)), max_size=6).map("".join))
def test_no_rewriting_of_any_mixture_is_worse(text: str) -> None:
    _judged(text)


@pytest.mark.parametrize(
    ("text", "rewritten", "additions"),
    [
        (
            "A red car slowly rolls to the right. No people, without text.",
            "A red car slowly rolls to the right.",
            ("people", "text"),
        ),
        ("A red car rolls to the right, a 10 second video", "A red car rolls to the right.", ()),
        (
            "[0s-2s] A red car rolls to the right. [2s-4s] The car stops.",
            "A red car rolls to the right. Then the car stops.",
            (),
        ),
        ("【0-2秒】女孩缓缓抬起头，【2-5秒】她向镜头挥手", "女孩缓缓抬起头，然后她向镜头挥手。", ()),
        (
            "A red car slowly rolls to the right.\nNegative prompt: blurry\nSteps: 20, CFG scale: 7",
            "A red car slowly rolls to the right.",
            ("blurry",),
        ),
        (
            '{"subject": "a white cat", "action": "jumps off the sofa", "negative_prompt": "dogs"}',
            "a white cat, jumps off the sofa.",
            ("dogs",),
        ),
        ("1. 男孩跑向球门\n2. 男孩踢出足球", "男孩跑向球门，然后男孩踢出足球。", ()),
        ("&quot;A red car&quot; rolls to the right, 4K, 60fps", '"A red car" rolls to the right.', ()),
        ("一只狐狸穿过雪地，不要人物不要文字", "一只狐狸穿过雪地。", ("人物", "文字")),
        ("Shot 1: a knight walks away. Shot 2: a horse runs.", None, ()),  # two clips
        ("Subject: a red car. Action: rolls to the right.", None, ()),  # fragments would be left
        ('{"prompt": "让他动起来"}', "让他动起来。", ()),
    ],
)
def test_what_was_pasted_is_left_out(text: str, rewritten: str | None, additions: tuple[str, ...]) -> None:
    report = report_prompt(text)
    assert (report.rewritten_prompt, report.negative_prompt_additions) == (rewritten, additions)
