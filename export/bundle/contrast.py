"""Contrast words: subjects, scenes and actions, in English and Chinese, that the scorer compares a clause with.

A scorer that was trained on few words brings its own list (``contrast.json``, see ``load_contrasts``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from export.errors import ExportError
from export.weights.files.recognition import require_file

CONTRAST_FILE_NAME = "contrast.json"


@dataclass(frozen=True)
class ContrastWords:
    """Contrast words of one language. Templates have ``{}`` for a word, or for a clause of the prompt.

    No two words mean the same, so that none counts twice; ``joint`` stands between a subject and an action.
    """

    language: str
    subjects: tuple[str, ...]
    scenes: tuple[str, ...]
    actions: tuple[str, ...]
    subject_template: str = "{}"
    scene_template: str = "{}"
    joint: str = " "

    @property
    def subject_sentences(self) -> tuple[str, ...]:
        """One sentence for each subject."""
        return tuple(self.subject_template.format(word) for word in self.subjects)

    @property
    def scene_sentences(self) -> tuple[str, ...]:
        """One sentence for each scene."""
        return tuple(self.scene_template.format(word) for word in self.scenes)


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for item in (part.strip() for part in text.replace("\n", ",").split(",")) if item)


_ENGLISH = ContrastWords(
    language="en",
    subjects=_items("""
        a cat, a dog, a horse, a cow, a sheep, a pig, a rabbit, a mouse, a lion, a tiger, a bear, a panda, a monkey,
        an elephant, a giraffe, a zebra, a camel, a deer, a wolf, a fox, a squirrel, a kangaroo, a crocodile, a snake,
        a turtle, a frog, a lizard, a dinosaur, a dragon, a bird, an eagle, an owl, a parrot, a duck, a chicken,
        a penguin, a fish, a shark, a dolphin, a whale, an octopus, a jellyfish, a crab, a butterfly, a bee, a spider,
        a man, a woman, a child, a baby, an old man, a couple, a crowd of people, a soldier, a dancer, a musician,
        a football player, a cook, a car, a truck, a bus, a motorcycle, a bicycle, a train, a tram, a boat, a ship,
        an airplane, a helicopter, a rocket, a hot air balloon, a tank, a tractor, a robot, a doll, a statue, a ball,
        a balloon, a kite, a flag, a candle, a fire, a waterfall, a tree, a flower, a leaf, a cake, a bowl of soup,
        a plate of food, a cup of coffee, a bottle, a book, a newspaper, a computer, a telephone, a camera, a clock,
        a guitar, a piano, a chair, a bed, a lamp, an umbrella, a hat, a shoe, a bag, a house, a tall building,
        a bridge, a piece of text, an abstract pattern
    """),
    scenes=_items("""
        in a room, in a kitchen, in a bedroom, in a bathroom, in an office, in a classroom, in a library, in a shop,
        in a supermarket, in a restaurant, in a bar, in a theatre, on a stage, in a stadium, in a gym, in a hospital,
        in a factory, in a church, in a museum, in a garage, in a cave, in a tunnel, on a train, in a car, on a road,
        on a city street, on a bridge, in a car park, at an airport, at a railway station, in a harbour, on a roof,
        in a courtyard, in a garden, in a park, on a playground, in a village, on a farm, in a field, in a meadow,
        in a forest, in a jungle, in a swamp, in the desert, in the mountains, in the snow, on a glacier, on a beach,
        in the sea, under water, on a lake, on a river, at a waterfall, in a swimming pool, in the sky, in space,
        in the rain, in fog, at night, at sunset, in front of a plain background
    """),
    actions=_items("""
        walks, runs, jumps, sits still, lies down, sleeps, swims, flies, dives, climbs, falls, turns around, dances,
        eats, drinks, smiles, speaks, waves, drives away, rolls, sails, spins, rises into the air, burns, flows,
        explodes, grows, opens
    """),
    subject_template="a photo of {}",
)

_CHINESE = ContrastWords(
    language="zh",
    subjects=_items("""
        一只猫, 一只狗, 一匹马, 一头牛, 一只羊, 一头猪, 一只兔子, 一只老鼠, 一头狮子, 一只老虎, 一只熊, 一只熊猫,
        一只猴子, 一头大象, 一只长颈鹿, 一匹斑马, 一头骆驼, 一只鹿, 一只狼, 一只狐狸, 一只松鼠, 一只袋鼠, 一条鳄鱼,
        一条蛇, 一只乌龟, 一只青蛙, 一只蜥蜴, 一只恐龙, 一条龙, 一只鸟, 一只老鹰, 一只猫头鹰, 一只鹦鹉, 一只鸭子,
        一只鸡, 一只企鹅, 一条鱼, 一条鲨鱼, 一只海豚, 一头鲸鱼, 一只章鱼, 一只水母, 一只螃蟹, 一只蝴蝶, 一只蜜蜂,
        一只蜘蛛, 一个男人, 一个女人, 一个孩子, 一个婴儿, 一位老人, 一对情侣, 一群人, 一名士兵, 一名舞者, 一名乐手,
        一名足球运动员, 一名厨师, 一辆汽车, 一辆卡车, 一辆公交车, 一辆摩托车, 一辆自行车, 一列火车, 一辆电车, 一艘小船,
        一艘轮船, 一架飞机, 一架直升机, 一枚火箭, 一个热气球, 一辆坦克, 一辆拖拉机, 一个机器人, 一个娃娃, 一座雕像,
        一个球, 一个气球, 一只风筝, 一面旗帜, 一根蜡烛, 一团火, 一道瀑布, 一棵树, 一朵花, 一片叶子, 一个蛋糕, 一碗汤,
        一盘食物, 一杯咖啡, 一个瓶子, 一本书, 一份报纸, 一台电脑, 一部手机, 一台相机, 一个时钟, 一把吉他, 一架钢琴,
        一把椅子, 一张床, 一盏灯, 一把雨伞, 一顶帽子, 一只鞋, 一个包, 一座房子, 一栋高楼, 一座桥, 一段文字, 抽象图案
    """),
    scenes=_items("""
        在房间里, 在厨房里, 在卧室里, 在浴室里, 在办公室里, 在教室里, 在图书馆里, 在商店里, 在超市里, 在餐厅里,
        在酒吧里, 在剧院里, 在舞台上, 在体育场里, 在健身房里, 在医院里, 在工厂里, 在教堂里, 在博物馆里, 在车库里,
        在山洞里, 在隧道里, 在火车上, 在汽车里, 在公路上, 在城市街道上, 在桥上, 在停车场, 在机场, 在火车站, 在港口,
        在屋顶上, 在院子里, 在花园里, 在公园里, 在游乐场, 在村庄里, 在农场里, 在田野里, 在草地上, 在森林里, 在丛林里,
        在沼泽里, 在沙漠里, 在山里, 在雪地里, 在冰川上, 在海滩上, 在大海里, 在水下, 在湖面上, 在河上, 在瀑布旁,
        在泳池里, 在天空中, 在太空中, 在雨中, 在雾中, 在夜晚, 在日落时分, 在纯色背景前
    """),
    actions=_items("""
        走路, 奔跑, 跳起来, 静静地坐着, 躺下, 睡觉, 游泳, 飞翔, 潜水, 攀爬, 掉下来, 转身, 跳舞, 吃东西, 喝水, 微笑,
        说话, 挥手, 开走, 滚动, 航行, 旋转, 升到空中, 燃烧, 流动, 爆炸, 生长, 打开
    """),
    subject_template="一张{}的照片",
    joint="",
)

DEFAULT_CONTRASTS = (_ENGLISH, _CHINESE)


def contrast_sentences(contrasts: tuple[ContrastWords, ...]) -> tuple[str, ...]:
    """The sentences whose embeddings a bundle stores: all subjects, then all scenes, language by language."""
    return tuple(sentence for words in contrasts for sentence in (*words.subject_sentences, *words.scene_sentences))


def load_contrasts(folder: Path) -> tuple[ContrastWords, ...]:
    """Contrast words of a scorer: ``contrast.json`` in its folder, or ``DEFAULT_CONTRASTS`` without that file.

    The file is a list of objects with the fields of ``ContrastWords``. Raises ``ExportError`` for another content.
    """
    path = folder / CONTRAST_FILE_NAME
    if not path.exists():
        return DEFAULT_CONTRASTS
    require_file(path)
    try:
        read = [_words(item) for item in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ExportError(f"{path} is not a list of contrast words: {error}; give one, or remove the file") from error
    languages = [words.language for words in read]
    if not read or len(set(languages)) < len(languages) or not set(languages) <= {"en", "zh"}:
        raise ExportError(f"{path}: give words for en, zh or both, each once")
    if not all(words.subjects and words.scenes and words.actions for words in read):
        raise ExportError(f"{path}: subjects, scenes and actions must each hold a word")
    return tuple(read)


def _words(item: dict[str, object]) -> ContrastWords:
    known = {field.name for field in fields(ContrastWords)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
    if not values.keys() <= known:
        raise ValueError(f"unknown field {', '.join(sorted(values.keys() - known))}")
    return ContrastWords(**values)  # type: ignore[arg-type]
