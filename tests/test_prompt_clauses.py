"""Prompts are parsed into clauses: kinds, order, and spans in the original text, whatever its spelling."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.analysis.prompt.clauses import parse_clauses
from engine.analysis.prompt.given_text import clean_prompt
from engine.analysis.prompt.report import report_prompt
from engine.api.errors import InvalidJob
from engine.api.fields import Field
from engine.api.prompt_report import ClauseKind, Language, ModelRange, Severity, Span

_S, _A, _E, _C, _Y = (
    ClauseKind.SUBJECT,
    ClauseKind.ACTION,
    ClauseKind.ENVIRONMENT,
    ClauseKind.CAMERA,
    ClauseKind.STYLE,
)
_PARSED = [
    (
        "一只白色猫咪从沙发上跳下来，然后走向窗边，阳光逐渐变亮",
        [(_S, 0, "一只白色猫咪"), (_A, 1, "从沙发上跳下来"), (_A, 2, "走向窗边"), (_E, 0, "阳光逐渐变亮")],
    ),
    ("海豚跃出海面，浪花四溅", [(_S, 0, "海豚"), (_A, 1, "跃出海面"), (_E, 0, "浪花四溅")]),
    ("镜头缓缓推近，老人端起茶杯", [(_C, 0, "镜头缓缓推近"), (_S, 0, "老人"), (_A, 1, "端起茶杯")]),
    ("电影质感，红色跑车飞驰", [(_Y, 0, "电影质感"), (_S, 0, "红色跑车"), (_A, 1, "飞驰")]),
    ("房间里一只白猫向左走", [(_E, 0, "房间里"), (_S, 0, "一只白猫"), (_A, 1, "向左走")]),
    ("房间里的白色的猫保持不动", [(_E, 0, "房间里的"), (_S, 0, "白色的猫"), (_A, 1, "保持不动")]),
    ("海面上一艘红色的帆船向右移动", [(_E, 0, "海面上"), (_S, 0, "一艘红色的帆船"), (_A, 1, "向右移动")]),
    ("在草地上的一只白猫", [(_E, 0, "在草地上的"), (_S, 0, "一只白猫")]),
    ("A person in red indoors jumps", [(_S, 0, "A person in red"), (_E, 0, "indoors"), (_A, 1, "jumps")]),
    ("The black bird indoors rises", [(_S, 0, "The black bird"), (_E, 0, "indoors"), (_A, 1, "rises")]),
    ("一位穿白色西装的男人微笑着走来", [(_S, 0, "一位穿白色西装的男人"), (_A, 1, "微笑着走来")]),
    (
        "A white cat in the room jumps off the sofa while the light fades",
        [(_S, 0, "A white cat"), (_E, 0, "in the room"), (_A, 1, "jumps off the sofa"), (_E, 0, "the light fades")],
    ),
    (
        "First the girl stands up, then she waves her hand.",
        [(_S, 0, "the girl"), (_A, 1, "stands up"), (_A, 2, "she waves her hand")],
    ),
    (
        "The camera pans left, then tilts up to follow a flying eagle",
        [(_C, 0, "The camera pans left"), (_C, 0, "tilts up to follow"), (_S, 0, "a flying eagle")],
    ),
    ("A dog runs, its tail wagging", [(_S, 0, "A dog"), (_A, 1, "runs"), (_A, 1, "its tail wagging")]),
    ("The axolotl wiggles its gills", [(_S, 0, "The axolotl"), (_A, 1, "wiggles its gills")]),
    ("Waves crash against the rocks", [(_S, 0, "Waves"), (_A, 1, "crash against the rocks")]),
    ("Walks away, the sun comes out.", [(_A, 1, "Walks away"), (_E, 0, "the sun comes out")]),
    ("向左走，光线不变。", [(_A, 1, "向左走"), (_E, 0, "光线不变")]),
    ("一只cat慢慢走过the table", [(_S, 0, "一只cat"), (_A, 1, "慢慢走过the table")]),
    ("A boy runs, no other people", [(_S, 0, "A boy"), (_A, 1, "runs")]),
    ("", []),
]
_TEXTS = st.text(max_size=80) | st.lists(
    st.sampled_from(
        ["一只猫", "跳下来", "，", "然后", "镜头", "a cat", " jumps ", "(x:1.3)", "不要", "\u0301", "👩‍👩‍👧", "\x00"]
    ),
    max_size=30,
).map("".join)


@pytest.mark.parametrize(("text", "expected"), _PARSED, ids=[text for text, _ in _PARSED])
def test_clauses(text: str, expected: list[tuple[ClauseKind, int, str]]) -> None:
    clauses = parse_clauses(text)
    assert [(clause.kind, clause.stage, clause.text) for clause in clauses] == expected
    assert all(text[clause.span.start : clause.span.end] == clause.text for clause in clauses)


def test_change_of_light_moves_and_a_place_does_not() -> None:
    place, subject, action, light = parse_clauses("In the garden, a boy sits while the light fades")
    assert [clause.moves for clause in (place, subject, action, light)] == [False, False, False, True]


def test_nouns_carry_their_class_and_place() -> None:
    subject, action = parse_clauses("Ｔｈｅ  ｃａｔ chases a red ball")
    assert [(noun.text, noun.subject_class) for noun in (*subject.nouns, *action.nouns)] == [
        ("cat", "animal"),
        ("ball", "object"),
    ]
    assert subject.nouns[0].span == Span(5, 8)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: unicodedata.normalize("NFC", text),
        lambda text: text.replace(" ", " \t\u3000"),
        lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
        lambda text: "\ufeff" + "\u200b".join(text),
        lambda text: text.upper(),
    ],
    ids=["decomposed", "composed", "blanks", "full-width", "invisible", "upper case"],
)
@pytest.mark.parametrize(
    "text", ["Éva's cat jumps off the café table, then it walks away", "猫咪 é 跳下沙发，然后走开"]
)
def test_spelling_makes_no_difference(text: str, spelling: object) -> None:
    assert callable(spelling)
    spelled = spelling(text)
    plain, other = parse_clauses(text), parse_clauses(spelled)
    assert [(c.kind, c.stage, c.moves) for c in other] == [(c.kind, c.stage, c.moves) for c in plain]
    for mine, theirs in zip(plain, other, strict=True):
        assert _bare(theirs.text) == _bare(mine.text)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("一只猫走路", Language.ZH),
        ("a cat walks", Language.EN),
        ("一只cat在走路", Language.ZH),
        ("кошка идёт", Language.OTHER),
        ("猫がソファから飛び降りる", Language.OTHER),
        ("Der Hund läuft über die Wiese", Language.OTHER),
        ("", Language.EN),
    ],
)
def test_language(text: str, language: Language) -> None:
    assert report_prompt(text).language is language


@settings(max_examples=500, deadline=None)
@given(_TEXTS)
@example("Â\x80B:ᰀ\x08")
@example("A\x99!\x8a¯")
def test_any_text_gets_a_report(text: str) -> None:
    report = report_prompt(text, duration_seconds=5, guidance_scale=3, negative_prompt=text[:20])
    before, repaired = Span(0, 0), clean_prompt(text) != text
    for clause in report.clauses:
        assert (before.start, before.end) <= (clause.span.start, clause.span.end)
        assert before.end <= clause.span.start or repaired  # all that a repair wrote stands in one place of the prompt
        assert before.end <= clause.span.end
        assert clause.span.start < clause.span.end <= len(text)
        assert clause.text
        before = clause.span
    for finding in report.findings:
        assert finding.message
        assert finding.suggestion
        assert (finding.span is None) == (finding.field is not Field.PROMPT)
        if finding.span is not None:
            assert 0 <= finding.span.start <= finding.span.end <= len(text)


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "走",
            "一只猫走过来，",
            "walk ",
            "\u0301",
            "a",
            "((",
            "不要",
            "\ud800",
            "a猫 ",
            "<a ",
            "http://",
            "[0s-2s]",
            "1. ",
        ),
        *(
            '{"a":',
            '{"a": "\\',
            '\\"',
            "9:59-",
            "steps: 1,",
            "--no a ",
            "Negative prompt: ",
            "&amp;",
            "no ",
            "第1秒",
            "①",
        ),
        *(
            "(a",
            "a:1",
            "Shot 1:",
            "4k ",
            "10秒",
            ". ",
            "1920x",
            "“",
            "without walking ",
            "{'a':' ",
            "Ã©",
            "\n- ",
            "，猫",
        ),
    ],
)
def test_a_text_ten_times_the_limit_takes_a_second(unit: str) -> None:
    text = (unit * 20_000)[:20_000]
    started = time.process_time()
    report_prompt(text, duration_seconds=5, negative_prompt="静止，字幕")
    assert time.process_time() - started < 15  # less than 1 s of one core; a quadratic rule takes minutes


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"guidance_scale": float("nan")}, Field.GUIDANCE_SCALE),
        ({"guidance_scale": -1.0}, Field.GUIDANCE_SCALE),
        ({"duration_seconds": float("inf")}, Field.FRAME_COUNT),
        ({"token_count": -1}, Field.PROMPT),
        ({"absent_nouns": [Span(0, 99)]}, Field.PROMPT),
    ],
)
def test_wrong_settings_are_refused_by_name(arguments: dict[str, object], field: Field) -> None:
    with pytest.raises(InvalidJob) as caught:
        report_prompt("a cat walks to the left", **arguments)  # type: ignore[arg-type]
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("text", "rewritten", "additions"),
    [
        ("Make the cat jump off the sofa slowly", "The cat jumps off the sofa slowly.", ()),
        ("请生成一段小狗在草地上奔跑的视频", "小狗在草地上奔跑。", ()),
        ("小男孩在草地上奔跑，不要出现其他人", "小男孩在草地上奔跑。", ("其他人",)),
        ("A boy runs through a meadow, no other people", "A boy runs through a meadow.", ("other people",)),
        ("A stunning dancer spins on an old stage", "A dancer spins on an old stage.", ()),
        ("老人坐下，拿起报纸，戴上眼镜", "老人坐下，然后拿起报纸，最后戴上眼镜。", ()),
        ("A woman picks up a book and opens the window", "A woman picks up a book and then opens the window.", ()),
        ("(a red fox:1.4) jumps over a stream", "a red fox jumps over a stream.", ()),
        ("A white cat jumps off the sofa", None, ()),
        ("让他动起来", None, ()),
    ],
)
def test_what_rules_can_mend_is_mended(text: str, rewritten: str | None, additions: tuple[str, ...]) -> None:
    report = report_prompt(text)
    assert (report.rewritten_prompt, report.negative_prompt_additions) == (rewritten, additions)


def test_messages_come_in_the_language_asked_for() -> None:
    assert "too little" in report_prompt("小猫跳跃", language=Language.EN).findings[0].message
    assert "信息太少" in report_prompt("小猫跳跃").findings[0].message


def test_guidance_grows_from_warning_to_error() -> None:
    model = ModelRange(default_guidance_scale=3.5)
    text = "A penguin waddles across the ice"
    grades = [
        [finding.severity for finding in report_prompt(text, guidance_scale=scale, model=model).findings]
        for scale in (3.5, 7.0, 7.5, 10.0, 10.5)
    ]
    assert grades == [[], [], [Severity.WARNING], [Severity.WARNING], [Severity.ERROR]]


def _bare(text: str) -> str:
    """Text without differences of spelling, to compare the same words in two spellings."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(character for character in folded if character.isalnum())
