"""What people paste along with a sentence is found, told, and never scored."""

from __future__ import annotations

import re

import pytest

from engine.analysis.prompt.clauses import parse_clauses
from engine.analysis.prompt.report import report_prompt
from engine.api.prompt_report import ClauseKind, Language
from scripts.docs_tables import DOCUMENTATION

_S, _A = ClauseKind.SUBJECT, ClauseKind.ACTION
_CAR = [(_S, 0, "A red car"), (_A, 1, "rolls to the right")]
_CAT = [(_S, 0, "一只白猫"), (_A, 1, "跳下沙发")]
_TWO = [(_S, 0, "A red car"), (_A, 1, "rolls to the right"), (_A, 2, "it stops")]
_TIME, _SHOT, _LIST = ("W22", "time"), ("W22", "shot"), ("I24", "numbered")


def _kinds(prompt: str) -> list[tuple[str, str]]:
    return [(item.code, item.case) for item in report_prompt(prompt).findings]


def _clauses(prompt: str) -> list[tuple[ClauseKind, int, str]]:
    return [(item.kind, item.stage, item.text) for item in parse_clauses(prompt)]


@pytest.mark.parametrize(
    ("pasted", "kinds"),
    [
        ("[0s-2s] {}", [_TIME]),
        ("(2s) {}", [_TIME]),
        ("[00:00-00:02] {}", [_TIME]),
        ("0-2s: {}", [_TIME]),
        ("0:00-0:02 {}", [_TIME]),
        ("t=0s: {}", [_TIME]),
        ("At 2 seconds, {}", [_TIME]),
        ("In the first 2 seconds {}", [_TIME]),
        ("{} for 3 seconds", [_TIME]),
        ("{} after 1.5 s", [_TIME]),
        ("Shot 1: {}", [_SHOT]),
        ("[Scene #2] {}", [_SHOT]),
        ("{}\nNegative prompt: blurry, a dog", [("W23", "negative")]),
        ("{} --no dogs, hats", [("W23", "negative")]),
        ("negative_prompt=dogs prompt={}", [("W16", "label"), ("W23", "negative")]),
        ("{}\nSteps: 20, Sampler: Euler a, Seed: 7", [("W23", "parameters")] * 3),
        ("{}, cfg_scale=7.5", [("W23", "parameters")]),
        ("{} --ar 16:9 --v 6", [("W16", "weight")] * 2),
        ("{} <lora:cars_v2:0.8>", [("W16", "weight")]),
        ("{} embedding:nice", [("W16", "weight")]),
        ("{}, a 10 second video", [("W23", "length")]),
        ("{}, 5s", [("W23", "length")]),
        ("{}, 4K, 60fps, 1920x1080", [("W23", "size")] * 3),
        ("{} in 16:9", [("W23", "size")]),
        ('{{"prompt": "{}"}}', [("W16", "json")]),
        ('```json\n{{"prompt": "{}", "seed": 5, "negative_prompt": "a dog"}}\n```', [("W16", "json")]),
        ("{{'prompt': '{}', 'fps': 16}}", [("W16", "json"), ("W23", "size")]),
        ('{{"prompt": "{}", "negat', [("W16", "json")]),
        ("{}, no people, without text", [("W13", "negation")] * 2),
        ("{} without people and without houses", [("W13", "negation")] * 2),
    ],
)
def test_what_stands_beside_a_sentence_is_told_and_no_clause(pasted: str, kinds: list[tuple[str, str]]) -> None:
    prompt = pasted.format("A red car rolls to the right")
    assert _clauses(prompt) == _CAR
    assert [kind for kind in _kinds(prompt) if kind in kinds] == kinds


@pytest.mark.parametrize(
    ("pasted", "kinds"),
    [
        ("第1秒{}", [_TIME]),
        ("第一秒，{}", [_TIME]),
        ("0–2秒：{}", [_TIME]),
        ("【0-2秒】{}", [_TIME]),
        ("第0-2秒，{}", [_TIME]),
        ("前2秒{}", [_TIME]),
        ("镜头1：{}", [_SHOT]),
        ("【分镜一】{}", [_SHOT]),
        ("{}\n反向提示词：模糊，小狗", [("W23", "negative")]),
        ("正向提示词：{}。负向提示词：小狗", [("W16", "label"), ("W23", "negative")]),
        ("{}，步数：20，引导系数：3.5，随机种子：42", [("W23", "parameters")] * 3),
        ("10秒视频，{}", [("W23", "length")]),
        ("{}，时长8秒，分辨率1920×1080", [("W23", "length"), ("W23", "size")]),
        ("{}，4K，60帧", [("W23", "size")] * 2),
        ('{{"提示词": "{}", "负面提示词": "小狗"}}', [("W16", "json"), ("W23", "negative")]),
        ("{}，不要人物不要文字不要水印", [("W13", "negation")] * 3),
    ],
)
def test_what_stands_beside_a_chinese_sentence_is_told_and_no_clause(pasted: str, kinds: list[tuple[str, str]]) -> None:
    prompt = pasted.format("一只白猫跳下沙发")
    assert _clauses(prompt) == _CAT
    assert [kind for kind in _kinds(prompt) if kind in kinds] == kinds
    assert {item.message for item in report_prompt(prompt, language=Language.EN).findings}.isdisjoint(
        item.message for item in report_prompt(prompt, language=Language.ZH).findings
    )


@pytest.mark.parametrize(
    "prompt",
    [
        "[0s-2s] A red car rolls to the right. [2s-4s] it stops",
        "[0s-2s] A red car rolls to the right [2s-4s] it stops",
        "0:00 A red car rolls to the right\n0:02 it stops",
        "1. A red car rolls to the right\n2. it stops",
        "1) A red car rolls to the right 2) it stops",
        "(1) A red car rolls to the right (2) it stops",
        "- A red car rolls to the right\n- it stops",
        "①A red car rolls to the right②it stops",
        "Step 1: A red car rolls to the right. Step 2: it stops",
        "Shot 1: A red car rolls to the right. Shot 2: it stops",
    ],
)
def test_marks_and_numbers_divide_stages(prompt: str) -> None:
    assert _clauses(prompt) == _TWO
    assert "I07" not in {code for code, _ in _kinds(prompt)}  # the marks give an order, if none that the model follows


@pytest.mark.parametrize(
    "prompt",
    [
        "At 5 o'clock a baker opens the door of his shop",
        "The clock shows 10:30 while pigeons fly past the tower",
        "Three cats run across the kitchen floor",
        "A car with the number 7 on its door drifts around the corner",
        "Without stopping the car rolls on along the road",
        "A guard walks past the door without looking back",
        "A man climbs the 20 steps of a temple",
        "A farmer scatters seeds over the brown field",
        "A girl in dress no. 2 walks down the catwalk",
        "A runner wins the 100 metre race and lifts his arms while people cheer",
        "A red car of 1.5 tons rolls to the right",
        '"A red car slowly rolls to the right."',
        "第二个男孩举起左手",
        "选手冲过100米终点线",
        "小船不停地向前漂动",
        "农夫把种子撒在田地里",
        "墙上的钟指向10点30分，一只猫从钟下走过",
        "一位老人举起一袋10公斤的大米",
    ],
)
def test_sentences_that_look_alike_are_left_alone(prompt: str) -> None:
    assert not {code for code, _ in _kinds(prompt)} & {"W13", "W16", "W22", "W23", "I24"}


def _examples_of_the_page() -> list[tuple[str, str]]:
    page = (DOCUMENTATION / "inputs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]*[WI]\d\d[^|]*) \|$", page, re.MULTILINE)
    return [
        (example, code)
        for cell, told in rows
        for example in re.findall("`([^`]+)`", cell)
        for code in re.findall(r"[WI]\d\d", told)[:1]
    ]


@pytest.mark.parametrize(("example", "code"), _examples_of_the_page())
def test_the_page_of_inputs_tells_what_is_found(example: str, code: str) -> None:
    prompt = f"A red car rolls to the right.\n{example.replace('…', 'a dog')}"
    assert code in {found for found, _ in _kinds(prompt)}
    assert (_S, 0, "A red car") in _clauses(prompt)


def test_the_page_has_examples_of_every_kind() -> None:
    assert {code for _, code in _examples_of_the_page()} == {"W13", "W16", "W22", "W23", "I24"}
