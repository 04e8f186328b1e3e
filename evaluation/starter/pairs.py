"""Lists the pairs of the starter set as objects of ``pairs.jsonl``."""

from __future__ import annotations

from collections.abc import Iterator

from evaluation.starter.lists import LANGUAGES, article_examples, starter_pictures, starter_words
from evaluation.starter.sentences import sentences

PICTURE_FOLDER = "pictures"

Pair = dict[str, str]


def starter_pairs() -> Iterator[Pair]:
    """Yield a pair for each picture, arm and language.

    The first pairs of an arm show every picture once, in English and Chinese by turns, the next ones every picture in
    its other language; so any number of pairs shows as many pictures as it can, the same ones in every arm.
    """
    pictures = starter_pictures()
    told = {language: starter_words(language) for language in LANGUAGES}
    for turn in range(len(LANGUAGES)):
        for number, picture in enumerate(pictures):
            language = LANGUAGES[(number + turn) % len(LANGUAGES)]
            for arm, prompt in sentences(picture, language, told[language]).items():
                yield _pair(picture.file_name, prompt, language, arm, picture.name)


def article_pairs() -> Iterator[Pair]:
    """Yield the article's own sentences, each on the picture that comes nearest."""
    pictures = {picture.name: picture for picture in starter_pictures()}
    for example in article_examples():
        for language, prompt in example.prompts.items():
            yield _pair(pictures[example.picture].file_name, prompt, language, example.arm, example.picture)


def _pair(file_name: str, prompt: str, language: str, arm: str, subject: str) -> Pair:
    image = f"{PICTURE_FOLDER}/{file_name}"
    return {"image": image, "prompt": prompt, "language": language, "arm": arm, "subject": subject}
