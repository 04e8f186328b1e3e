"""Writes the README of the folder: each picture with its source and licence, and the article's sentences."""

from __future__ import annotations

from collections.abc import Iterator

from evaluation.starter.lists import article_examples, starter_pictures
from evaluation.starter.photographs import PHOTOGRAPHS

_DRAWN = "drawn by Stillcue (evaluation/starter/)"


def readme() -> str:
    """The page in Markdown."""
    return "\n".join([*_head(), *_pictures(), *_examples()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Starter set"
    yield ""
    yield "Written by `python -m evaluation.starter`. `docs/evaluation.md` of Stillcue tells how to run it."
    yield ""
    yield "| file | holds |"
    yield "|---|---|"
    yield "| `pairs.jsonl` | a pair of picture and sentence a line, with language, arm and subject |"
    yield "| `pilot.toml`, `starter.toml` | plans: two arms; all arms |"
    yield "| `article.jsonl`, `article.toml` | the article's own sentences, and their plan |"
    yield ""


def _pictures() -> Iterator[str]:
    yield "## Pictures"
    yield ""
    yield "| picture | shows | source | licence |"
    yield "|---|---|---|---|"
    for picture in starter_pictures():
        if picture.photograph is None:
            kind, scene = picture.kind, picture.scene.replace("_", " ")
            yield f"| `{picture.file_name}` | {kind}, {picture.colour}; {scene} | {_DRAWN} | Apache-2.0 |"
        else:
            photograph = PHOTOGRAPHS[picture.photograph]
            source = f"{photograph.source}; scikit-image, `data/{photograph.file}`"
            yield f"| `{picture.file_name}` | {photograph.shows} | {source} | {photograph.licence} |"
    yield ""


def _examples() -> Iterator[str]:
    yield "## The article's sentences"
    yield ""
    yield "| sentence | arm | picture | what the picture lacks |"
    yield "|---|---|---|---|"
    for example in article_examples():
        for prompt in example.prompts.values():
            yield f"| {prompt} | {example.arm} | `{example.picture}.png` | {example.lacks} |"
