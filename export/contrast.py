"""The sentences that a match score is held against. Plain data, in English and Chinese.

A sentence that fits a picture must fit it better than these do. They speak of everyday subjects and scenes, one
each, so that no single one decides.
"""

from __future__ import annotations

CONTRAST_SENTENCES: tuple[str, ...] = (
    *(
        f"a photo of {thing}"
        for thing in (
            "a cat", "a dog", "a horse", "a bird", "a fish", "a person", "a child", "a crowd of people", "a car",
            "a truck", "a bicycle", "a train", "a boat", "an airplane", "a ball", "a flower", "a tree",
            "a plate of food", "a cup of coffee", "a book", "a computer", "a chair", "a bed", "a house",
            "a tall building", "a bridge", "a mountain", "a river", "the sea", "a beach", "a forest", "a desert",
            "a field of grass", "a snowy street",
            "a night sky", "a kitchen", "a living room", "an office", "a shop", "a stadium", "a piece of text",
            "a drawing", "an abstract pattern", "a statue", "a robot", "a dolphin", "an insect", "a toy",
        )
    ),
    *(
        f"一张{thing}的照片"
        for thing in (
            "猫", "狗", "马", "鸟", "鱼", "人物", "孩子", "汽车", "自行车", "火车", "船", "飞机", "球", "花", "树",
            "食物", "书", "椅子", "房子", "高楼", "桥", "山", "河流", "大海", "沙滩", "森林", "草地", "雪景", "夜空",
            "厨房", "客厅", "海豚",
        )
    ),
)  # fmt: skip
