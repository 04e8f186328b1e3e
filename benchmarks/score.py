"""Throughput of match scores: the engine's scorer compared with the plain transformers model, same weights, one run.

``python -m benchmarks.score --json FILE``. Each caller is a thread that sends its next pair after the answer to the
last. All sides decode the same PNG files and take turns. The engine makes the whole report. There are two plain sides,
which call the model once for each request: ``same`` encodes all the sentences that a report compares (except the
contrast sets, which ship as embeddings), ``single`` only the caller's sentence, which gives a logit and no report.

There are two streams of pairs: in ``new`` every picture and sentence is new; in ``retry`` each picture is scored again
with other sentences, as callers do when they reword a prompt. Caches hold nothing but the warm-up's entries when a take
begins. Each call computes on one thread on every side, because the callers already occupy all cores.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow

from benchmarks.report import Report

CALLER_COUNTS = (1, 4, 16)
_SENTENCES_OF_A_PICTURE = 4  # in the stream ``retry``
_THREAD_COUNT = 1
_BUNDLE = Path("pocket/model")

Pair = tuple[bytes, str]  # a PNG file and a sentence
Score = Callable[[bytes, str], float]


@dataclass(frozen=True)
class Take:
    """Figures of one side at one number of callers."""

    scores_per_second: float
    latency_seconds: float  # median over requests
    processor_seconds: float  # CPU time of all threads for each score


def main() -> None:
    """Measures all sides, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score", description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=_BUNDLE, help="bundle with the scorer's checkpoint inside")
    parser.add_argument("--pairs", type=int, default=240, help="pairs of one take")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    checkpoint = options.bundle / "checkpoint" / "scorer"
    sides = {
        "same": plain_side(checkpoint, sentences_of(options.bundle)),
        "single": plain_side(checkpoint, lambda sentence: [sentence]),
        "stillcue": engine_side(options.bundle),
    }
    figures: dict[str, float] = {}
    for stream in ("new", "retry"):
        figures |= _measure(sides, stream, options.pairs, options.repeats)
    figures["throughput_ratio_16"] = figures["new_throughput_ratio_same_16"]
    report = Report("score", figures)
    report.show()
    report.write(options.json)


def _measure(sides: dict[str, Score], stream: str, pair_count: int, repeat_count: int) -> dict[str, float]:
    for score in sides.values():  # warm-up with other pairs: sessions, allocators and word lists
        _take(score, pairs_of(stream, pair_count, seed=9_000), 4)
    figures: dict[str, float] = {}
    for callers in CALLER_COUNTS:
        takes: dict[str, list[Take]] = {name: [] for name in sides}
        for repeat in range(repeat_count):
            pairs = pairs_of(stream, pair_count, seed=10_000 * (1 + repeat) + callers)
            for name, score in sides.items():
                takes[name].append(_take(score, pairs, callers))
        for name, done in takes.items():
            key = f"{stream}_{name}"
            figures[f"{key}_scores_per_second_{callers}"] = statistics.median(take.scores_per_second for take in done)
            figures[f"{key}_latency_{callers}_seconds"] = statistics.median(take.latency_seconds for take in done)
            figures[f"{key}_processor_{callers}_seconds"] = statistics.median(take.processor_seconds for take in done)
        for plain in ("same", "single"):
            both = list(zip(takes["stillcue"], takes[plain], strict=True))
            figures[f"{stream}_throughput_ratio_{plain}_{callers}"] = statistics.median(
                ours.scores_per_second / theirs.scores_per_second for ours, theirs in both
            )
            figures[f"{stream}_processor_ratio_{plain}_{callers}"] = statistics.median(
                theirs.processor_seconds / ours.processor_seconds for ours, theirs in both
            )
    return figures


def _take(score: Score, pairs: Sequence[Pair], callers: int) -> Take:
    def timed(pair: Pair) -> float:
        start = time.perf_counter()
        score(*pair)
        return time.perf_counter() - start

    start, processors = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(callers) as pool:
        latencies = list(pool.map(timed, pairs))
    rate = len(pairs) / (time.perf_counter() - start)
    return Take(rate, statistics.median(latencies), (time.process_time() - processors) / len(pairs))


def pairs_of(stream: str, count: int, seed: int) -> list[Pair]:
    """Returns pairs drawn from pocket's synthetic world; the same seed gives the same pairs."""
    from pocket.world import LANGUAGES, caption, render_still, sample_spec

    sentence_count = _SENTENCES_OF_A_PICTURE if stream == "retry" else 1
    pairs = []
    for index in range(-(-count // sentence_count)):
        spec = sample_spec(seed + index)
        buffer = io.BytesIO()
        Pillow.fromarray(render_still(spec)[0]).save(buffer, "PNG")
        for number in range(sentence_count):
            words = seed + 31 * index + number
            pairs.append((buffer.getvalue(), caption(spec, LANGUAGES[words % 2], words)))
    return pairs[:count]


def sentences_of(bundle: Path) -> Callable[[str], list[str]]:
    """Returns the function from a prompt to all sentences that its report scores."""
    from engine.bundle.folder import parse_manifest
    from engine.matching.contrast import Contrasts
    from engine.matching.statements import question_of

    spec = parse_manifest(bundle).scorer
    assert spec is not None
    contrasts = Contrasts(bundle, spec)
    return lambda sentence: list(dict.fromkeys(question_of(sentence, contrasts).texts))


def plain_side(folder: Path, asked: Callable[[str], list[str]]) -> Score:
    """Returns a score function of ``SiglipModel`` with its own processor and tokenizer; one picture in each call."""
    import torch
    from transformers import AutoTokenizer, SiglipImageProcessor, SiglipModel

    torch.set_num_threads(_THREAD_COUNT)
    model = SiglipModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = SiglipImageProcessor.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings

    def score(data: bytes, sentence: str) -> float:
        picture = Pillow.open(io.BytesIO(data)).convert("RGB")
        pixels = processor(images=picture, return_tensors="pt")["pixel_values"]
        ids = tokenizer(
            [text.lower() for text in asked(sentence)],
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )["input_ids"]
        with torch.no_grad():
            return float(model(input_ids=ids, pixel_values=pixels).logits_per_image[0, 0])

    return score


def engine_side(folder: Path) -> Score:
    """Returns the score function of the bundle's scorer on ONNX Runtime."""
    from engine.api.cancellation import CancelFlag
    from engine.api.capabilities import Limits
    from engine.api.media import Image
    from engine.bundle.folder import read_manifest
    from engine.matching.scorer import Scorer
    from engine.media.picture import decode_picture
    from engine.runtime.execution import Execution
    from engine.runtime.ort import OrtRuntime

    manifest, _ = read_manifest(folder)
    assert manifest.scorer is not None
    runtime = OrtRuntime(_THREAD_COUNT)
    graphs = {spec.stage: runtime.load(folder, spec) for spec in manifest.graphs if spec.stage.startswith("scorer")}
    scorer = Scorer(folder, manifest.scorer, (graphs["scorer_image"], graphs["scorer_text"]), runtime)
    execution = Execution(runtime, CancelFlag())

    def score(data: bytes, sentence: str) -> float:
        return scorer.score(execution, decode_picture(Image(data), Limits()).upright, sentence).score

    return score


if __name__ == "__main__":
    main()
