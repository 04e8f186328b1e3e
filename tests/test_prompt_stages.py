"""A sentence is divided by its stages: each segment has subject, its stage, and what holds for the whole sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.analysis.prompt.draft import PromptSettings, draft
from engine.analysis.prompt.stages.division import divide_sentence, ordered_stage_count, spread

_DIVIDED: dict[str, list[str]] = {
    "A woman in a red coat first looks up, then smiles, and slowly waves at the camera, cinematic lighting.": [
        "A woman in a red coat looks up, cinematic lighting.",
        "A woman in a red coat smiles, cinematic lighting.",
        "A woman in a red coat slowly waves at the camera, cinematic lighting.",
    ],
    "The girl stands up. She then waves. Finally, she sits down again.": [
        "The girl stands up.",
        "The girl waves.",
        "The girl sits down again.",
    ],
    "A skateboarder rolls down the ramp -> jumps => lands → rolls away": [
        "A skateboarder rolls down the ramp.",
        "A skateboarder jumps.",
        "A skateboarder lands.",
        "A skateboarder rolls away.",
    ],
    "1. a red car rolls to the right. 2. The car stops. 3. The driver opens the door.": [
        "a red car rolls to the right.",
        "a red car stops.",
        "a red car, the driver opens the door.",
    ],
    "Shot 1: wide shot, a woman walks on the beach. Shot 2: close-up, she smiles.": [
        "Wide shot, a woman walks on the beach.",
        "Close-up, a woman smiles.",
    ],
    "0-3s: a fox looks up. 3-6s: it runs away into the forest, the light fades": [
        "a fox looks up.",
        "a fox runs away into the forest, the light fades.",
    ],
    "A man walks to the car, then a dog runs after him, then barks": [
        "A man walks to the car.",
        "A man, a dog runs after him.",
        "A man, a dog barks.",
    ],
    "As the sun sets, a man walks to the door, opens it and leaves.": [
        "As the sun sets, a man walks to the door.",
        "A man opens it.",
        "A man leaves.",
    ],
    "A boy picks up a kite, looks at it, then runs": [
        "A boy picks up a kite.",
        "A boy looks at the kite.",
        "A boy runs.",
    ],
    "The dog is running on the beach, then jumping into the water, its tail wagging.": [
        "The dog is running on the beach.",
        "The dog is jumping into the water, its tail wagging.",
    ],
    "He looks up, then he leaves": ["He looks up.", "He leaves."],
    "On a beach, she runs, then falls": ["On a beach, she runs.", "On a beach, she falls."],
    "Make the woman look up, then smile": ["The woman looks up.", "The woman smiles."],
    "A cat sits on the sofa, then the light fades, then the camera pulls back": [
        "A cat sits on the sofa.",
        "A cat, the light fades.",
        "A cat, the camera pulls back.",
    ],
    "Camera slowly zooms in. A boy blows out the candles while his dog sleeps, then laughs.": [
        "Camera slowly zooms in. A boy blows out the candles while his dog sleeps.",
        "Camera slowly zooms in. A boy laughs.",
    ],
    "Before leaving, the woman looks back, then closes the door": [
        "Before leaving, the woman looks back.",
        "The woman closes the door.",
    ],
    "A man in a blue jacket opens the door and sits down. Warm indoor light, shallow depth of field.": [
        "A man in a blue jacket opens the door. Warm indoor light, shallow depth of field.",
        "A man in a blue jacket sits down. Warm indoor light, shallow depth of field.",
    ],
    "A woman doesn't move, then suddenly turns her head, no text": [
        "A woman doesn't move, no text.",
        "A woman suddenly turns her head, no text.",
    ],
    'The astronaut says "hello", then „slowly“ waves': ['The astronaut says "hello".', 'The astronaut "slowly" waves.'],
    "The video shows a waiter with a tray, he slips and falls; plates crash to the floor": [
        "A waiter with a tray, he slips.",
        "A waiter with a tray falls.",
        "A waiter with a tray, plates crash to the floor.",
    ],
    "女孩先站起来，然后转身，接着她挥手，最后坐下，电影感": [
        "女孩站起来，电影感。",
        "女孩转身，电影感。",
        "女孩挥手，电影感。",
        "女孩坐下，电影感。",
    ],
    "男人走到窗前推开窗户看向外面": ["男人走到窗前。", "男人推开窗户。", "男人看向外面。"],
    "雨停之后，狐狸跑了，然后天色渐渐变暗": ["雨停之后，狐狸跑了。", "狐狸，天色渐渐变暗。"],
    "一个男孩在操场上奔跑，突然停下，弯腰捡起一个球，最后把球扔出去。电影质感，暖色调": [
        "一个男孩在操场上奔跑。电影质感，暖色调。",
        "一个男孩在操场上突然停下，弯腰捡起一个球。电影质感，暖色调。",
        "一个男孩在操场上把球扔出去。电影质感，暖色调。",
    ],
    "镜头1：老人坐在椅子上。镜头2：他站起来。镜头3：他走向窗边": [
        "老人坐在椅子上。",
        "老人站起来。",
        "老人走向窗边。",
    ],
    "0-3秒：一只猫醒来；3-6秒：它伸懒腰": ["一只猫醒来。", "一只猫伸懒腰。"],
    "第1秒：小狗趴在草地上，第3秒：小狗站起来向前奔跑": ["小狗趴在草地上。", "小狗站起来。", "小狗向前奔跑。"],
}
_TEXTS = st.lists(
    st.sampled_from(
        [
            "A fox ",
            "looks up",
            ", then ",
            "she ",
            "while ",
            "after ",
            "→",
            "(",
            "“",
            "|",
            "0-2s: ",
            "the light fades",
            "it ",
            "一只猫",
            "然后",
            "她",
            "跳下来",
            "，",
            "之后",
            "1. ",
            "2. ",
            "\n",
            "cinematic",
            "make the dog jump ",
        ]
    ),
    max_size=25,
).map("".join)


@pytest.mark.parametrize("sentence", _DIVIDED)
def test_each_stage_is_a_sentence_of_its_own(sentence: str) -> None:
    expected = _DIVIDED[sentence]
    divided = divide_sentence(sentence, [9] * len(expected))
    assert [*divided.prompts] == expected
    assert divided.stages == tuple((number, number) for number in range(1, len(expected) + 1))
    assert not divided.undivided


def test_stages_that_share_a_segment_keep_the_words_between_them() -> None:
    divided = divide_sentence("A fox first looks up, then smiles → waves, and finally runs away, soft light", [9, 9])
    assert divided.prompts == (
        "A fox first looks up, then smiles, soft light.",
        "A fox waves, and finally runs away, soft light.",
    )
    assert divided.stages == ((1, 2), (3, 4))
    arrows = divide_sentence("A fox looks up → smiles → waves → leaves", [9, 9])
    assert arrows.prompts == ("A fox looks up, then smiles.", "A fox waves, then leaves.")


def test_a_stage_that_spans_several_segments_keeps_its_sentence() -> None:
    divided = divide_sentence("女孩站起来，然后挥手", [9, 9, 9, 9])
    assert divided.prompts == ("女孩站起来。", "女孩站起来。", "女孩挥手。", "女孩挥手。")


@pytest.mark.parametrize("sentence", ["A fox looks up and the light fades", "a cat on a sofa", "", "好"])
def test_a_sentence_of_one_stage_is_that_of_every_segment(sentence: str) -> None:
    divided = divide_sentence(sentence, [9, 9])
    assert divided.prompts == (sentence, sentence)
    assert (divided.stage_count, divided.undivided) == (1, "")


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("A fox looks up, a bird lands, then it runs away", "“it” can mean more than one subject, or none"),
        ("A woman hands a man a flower, then he smiles", "“he” can mean more than one subject, or none"),
        ("She waves, then he waves", "“he” can mean more than one subject, or none"),
        ("In the snow he waves, then she leaves", "“she” can mean more than one subject, or none"),
        ("他站起来，然后她坐下", "“她” can mean more than one subject, or none"),
        ("He looks up, a man enters, then he sits", "“he” can mean more than one subject, or none"),
        ("Her hair flutters, then she smiles", "“she” can mean more than one subject, or none"),
        ("A fox sits, then I wave", "“I” can mean more than one subject, or none"),
        ("Walks to the window, then looks outside", "no subject stands before its first action"),
        ("Eine Frau schaut auf, dann lächelt sie und winkt", "it is neither English nor Chinese"),
        ("A man in a suit (60 years old) nods, then walks off", "a bracket or a quotation spans several stages"),
        ("A woman in a cream knitted sweater nods, then waves", "its first verb may describe the subject"),
    ],
)
def test_a_sentence_that_cannot_be_divided_with_certainty_stays_whole(sentence: str, reason: str) -> None:
    divided = divide_sentence(sentence, [9, 9, 9])
    assert divided.prompts == (sentence,) * 3
    assert divided.undivided.startswith(reason)


@pytest.mark.parametrize(
    ("stage_count", "weights", "expected"),
    [
        (3, [81, 76, 76], ((1, 1), (2, 2), (3, 3))),
        (3, [81, 76, 4], ((1, 1), (2, 2), (3, 3))),
        (2, [81, 76, 4], ((1, 1), (2, 2), (2, 2))),
        (5, [81, 76], ((1, 3), (4, 5))),
        (2, [9, 8, 8, 8, 8], ((1, 1), (1, 1), (2, 2), (2, 2), (2, 2))),
        (4, [9, 8, 4], ((1, 2), (3, 3), (4, 4))),
    ],
)
def test_stages_are_spread_evenly(stage_count: int, weights: list[int], expected: tuple[tuple[int, int], ...]) -> None:
    assert spread(stage_count, weights) == expected


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("A fox looks up, then runs away", 2),
        ("[0s-2s] A fox looks up [2s-4s] it runs", 2),
        ("A fox looks up and runs away", 1),
        ("Ein Fuchs schaut auf, dann läuft er weg", 1),
    ],
)
def test_only_stages_in_order_count_as_such(sentence: str, count: int) -> None:
    assert ordered_stage_count(draft(sentence, PromptSettings())) == count


@given(_TEXTS)
@settings(max_examples=150, deadline=None)
def test_every_text_has_a_sentence_for_each_segment(text: str) -> None:
    for count in (2, 5):
        divided = divide_sentence(text, [9] * count)
        assert len(divided.prompts) == len(divided.stages) == count
        is_whole = bool(divided.undivided) or divided.stage_count == 1
        assert all(prompt == text if is_whole else prompt.strip() for prompt in divided.prompts)


def test_the_page_counts_the_labelled_prompts_that_are_divided() -> None:
    root = Path(__file__).resolve().parents[1]
    lines = [line for file in root.glob("tests/prompts/*.jsonl") for line in file.read_text("utf-8").splitlines()]
    divided = [divide_sentence(json.loads(line)["text"], (1, 1)) for line in lines]
    staged = [sentence for sentence in divided if sentence.stage_count > 1]
    page = (root / "docs/inputs.md").read_text("utf-8")
    told = r"Of the (\d+)\s+prompts in `tests/prompts`, (\d+) have several stages, and (\d+) of these stay"
    counts = re.search(told, page)
    assert counts is not None
    assert [*map(int, counts.groups())] == [len(lines), len(staged), sum(bool(item.undivided) for item in staged)]
