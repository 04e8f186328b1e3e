"""Word lists of the captions: nouns, verbs and phrases in English and Chinese. `captions` builds the sentences."""

COLOUR_WORDS: dict[str, dict[str, str]] = {
    "en": {
        name: name
        for name in (
            "white", "black", "grey", "orange", "red", "blue", "green", "yellow", "pink", "purple",
        )
    },
    "zh": {
        "white": "白色", "black": "黑色", "grey": "灰色", "orange": "橙色", "red": "红色",
        "blue": "蓝色", "green": "绿色", "yellow": "黄色", "pink": "粉色", "purple": "紫色",
    },
}  # fmt: skip

SUBJECT_NOUNS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "cat": ("cat", "cat", "kitten"),
        "person": ("person", "person", "man"),
        "car": ("car", "car", "automobile"),
        "dolphin": ("dolphin",),
        "boat": ("boat", "sailing boat", "boat"),
        "bird": ("bird", "bird", "little bird"),
        "ball": ("ball", "ball", "beach ball"),
        "fish": ("fish", "fish", "little fish"),
    },
    "zh": {
        "cat": ("只|猫", "只|猫咪", "只|小猫"),
        "person": ("个|人", "个|人", "个|男人"),
        "car": ("辆|汽车", "辆|小汽车", "辆|车"),
        "dolphin": ("只|海豚", "条|海豚"),
        "boat": ("艘|船", "艘|帆船", "只|小船"),
        "bird": ("只|鸟", "只|小鸟"),
        "ball": ("个|球", "个|皮球"),
        "fish": ("条|鱼", "条|小鱼"),
    },
}

SCENE_PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "room": ("in the room", "indoors", "in a room"),
        "road": ("on the road", "on a road", "on the street"),
        "meadow": ("in the meadow", "on the grass", "in a meadow"),
        "beach": ("on the beach", "on a beach", "on the sand"),
        "sea": ("in the sea", "at sea", "on the sea"),
        "lake": ("on the lake", "at the lake", "on a lake"),
        "reef": ("under water", "at the reef", "in the reef"),
        "sky": ("in the sky", "in the blue sky", "among the clouds"),
    },
    "zh": {
        "room": ("房间里", "室内", "屋子里"),
        "road": ("马路上", "公路上", "街道上"),
        "meadow": ("草地上", "草原上"),
        "beach": ("沙滩上", "海滩上"),
        "sea": ("大海里", "海上", "海面上"),
        "lake": ("湖上", "湖面上", "湖边"),
        "reef": ("水下", "海底", "珊瑚礁旁"),
        "sky": ("天空中", "蓝天上", "云间"),
    },
}

SCENE_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "room": ("a room",), "road": ("a road", "a street"), "meadow": ("a meadow", "grass"),
        "beach": ("a beach",), "sea": ("the sea",), "lake": ("a lake",), "reef": ("a reef",),
        "sky": ("the sky", "clouds"),
    },
    "zh": {
        "room": ("房间",), "road": ("马路", "街道"), "meadow": ("草地",), "beach": ("沙滩",),
        "sea": ("大海",), "lake": ("湖",), "reef": ("珊瑚礁",), "sky": ("天空", "蓝天"),
    },
}  # fmt: skip

LIGHT_PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "steady": ("", "", "the light stays the same", "the light does not change"),
        "fades": (
            "the light fades", "it grows dark", "the light slowly fades", "night falls",
            "the scene gets darker",
        ),
        "grows": (
            "the light grows", "it grows bright", "the light slowly grows brighter",
            "the sun comes out", "the scene gets brighter",
        ),
    },
    "zh": {
        "steady": ("", "", "光线不变", "光线保持不变"),
        "fades": ("光线渐暗", "天色变暗", "光线慢慢变暗", "夜幕降临", "画面逐渐变暗"),
        "grows": ("光线渐亮", "天色变亮", "光线慢慢变亮", "太阳出来了", "画面逐渐变亮"),
    },
}  # fmt: skip

_VERBS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "cat": ("walks", "runs", "moves"),
        "person": ("walks", "runs", "moves"),
        "car": ("drives", "rolls", "moves"),
        "dolphin": ("swims", "glides", "moves"),
        "boat": ("sails", "drifts", "moves"),
        "bird": ("flies", "glides", "moves"),
        "ball": ("rolls", "moves"),
        "fish": ("swims", "glides", "moves"),
    },
    "zh": {
        "cat": ("走", "跑", "移动"),
        "person": ("走", "跑", "移动"),
        "car": ("行驶", "开", "移动"),
        "dolphin": ("游", "移动"),
        "boat": ("航行", "漂", "移动"),
        "bird": ("飞", "移动"),
        "ball": ("滚", "滚动", "移动"),
        "fish": ("游", "移动"),
    },
}

_FIXED_ACTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "jumps": ("jumps up", "jumps into the air", "leaps up and comes down", "jumps"),
        "rises": ("rises", "slowly rises", "moves up"),
        "sinks": ("sinks", "slowly sinks", "moves down"),
        "stays": ("stays still", "stays where it is", "does not move", "rests"),
    },
    "zh": {
        "jumps": ("跳起来", "向上跳", "高高跳起又落下", "跳跃"),
        "rises": ("上升", "慢慢升起", "向上移动"),
        "sinks": ("下沉", "慢慢下降", "向下移动"),
        "stays": ("静止不动", "停在原地", "保持不动"),
    },
}

_VERB_ACTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "moves_left": ("{verb} to the left", "{verb} left", "slowly {verb} to the left"),
        "moves_right": ("{verb} to the right", "{verb} right", "slowly {verb} to the right"),
        "rises": ("{verb} up", "{verb} upwards"),
        "sinks": ("{verb} down", "{verb} downwards"),
        "comes_closer": ("comes closer", "{verb} closer", "{verb} towards the camera"),
        "goes_away": ("goes away", "{verb} away", "{verb} into the distance"),
    },
    "zh": {
        "moves_left": ("向左{verb}", "往左{verb}", "慢慢向左{verb}", "向左边{verb}"),
        "moves_right": ("向右{verb}", "往右{verb}", "慢慢向右{verb}", "向右边{verb}"),
        "rises": ("向上{verb}", "往上{verb}"),
        "sinks": ("向下{verb}", "往下{verb}"),
        "comes_closer": ("靠近镜头", "越来越近", "朝镜头{verb}过来", "慢慢靠近"),
        "goes_away": ("远离镜头", "越来越远", "向远处{verb}去", "慢慢远去"),
    },
}


def action_phrases(subject: str, action: str, language: str) -> tuple[str, ...]:
    """Return the wordings of an action for a subject; implausible pairs have wordings too."""
    phrases = list(_FIXED_ACTIONS[language].get(action, ()))
    for pattern in _VERB_ACTIONS[language].get(action, ()):
        if "{verb}" in pattern:
            phrases += [pattern.format(verb=verb) for verb in _VERBS[language][subject]]
        else:
            phrases.append(pattern)
    return tuple(phrases)
