"""Writes the trained parts as a checkpoint in the Diffusers layout, in half precision."""

import json
import shutil
from pathlib import Path

from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoTokenizer, SiglipImageProcessor, SiglipModel, UMT5EncoderModel

from export.bundle.contrast import CONTRAST_FILE_NAME
from pocket.settings import BOUNDARY_RATIO, FLOW_SHIFT, LATENT_CHANNELS
from pocket.train.tokens import save_scorer_tokenizer, save_text_tokenizer
from pocket.world import ACTIONS, LANGUAGES, PICTURE_PX, SCENES, SUBJECTS, still_caption
from pocket.world.wordings import SCENE_PHRASES

_CARD = """---
license: apache-2.0
pipeline_tag: image-to-video
---

Pocket, trained by `python -m pocket.train all`. Its model card is the README.md of the bundle around this folder.
"""

SCORER_NAME = "scorer"
# Verbs that fit every subject, where the language has one.
_PLAIN_ACTIONS = {
    "en": {
        "moves_left": "moves to the left",
        "moves_right": "moves to the right",
        "jumps": "jumps",
        "rises": "rises",
        "sinks": "sinks",
        "comes_closer": "comes closer",
        "goes_away": "goes away",
        "stays": "stays still",
    },
    "zh": {
        "moves_left": "向左移动",
        "moves_right": "向右移动",
        "jumps": "跳起来",
        "rises": "上升",
        "sinks": "下沉",
        "comes_closer": "靠近镜头",
        "goes_away": "远离镜头",
        "stays": "静止不动",
    },
}


def finish_vae(trained: AutoencoderKLWan, mean: Tensor, std: Tensor) -> AutoencoderKLWan:
    """Return a copy of the autoencoder whose configuration holds the latents' measured mean and std, [16] each."""
    config = {
        **trained.config,
        "latents_mean": [round(float(value), 6) for value in mean],
        "latents_std": [round(float(value), 6) for value in std],
    }
    assert len(config["latents_mean"]) == LATENT_CHANNELS
    vae = AutoencoderKLWan.from_config(config)
    vae.load_state_dict(trained.state_dict())
    return vae


def write_pipeline(
    folder: Path,
    *,
    pieces: Tokenizer,
    text_encoder: UMT5EncoderModel,
    vae: AutoencoderKLWan,
    high: WanTransformer3DModel,
    low: WanTransformer3DModel,
) -> None:
    """Write model_index.json and all parts of the pipeline; replaces `folder` except the scorer in it."""
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.is_dir() and old.name != SCORER_NAME:
            shutil.rmtree(old)
    save_text_tokenizer(pieces, folder / "tokenizer")
    pipeline = WanImageToVideoPipeline(
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder=text_encoder.half(),
        vae=vae.half(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=FLOW_SHIFT,
            solver_order=2,
            num_train_timesteps=1000,
        ),
        transformer=high.half(),
        transformer_2=low.half(),
        boundary_ratio=BOUNDARY_RATIO,
        expand_timesteps=False,
    )
    pipeline.save_pretrained(folder)
    _name_tokenizer_class(folder / "model_index.json", folder / "tokenizer")
    (folder / "README.md").write_text(_CARD, encoding="utf-8")


def write_scorer(folder: Path, pieces: Tokenizer, scorer: SiglipModel) -> None:
    """Write the scorer with its tokenizer, image preprocessing and contrast sentences."""
    shutil.rmtree(folder, ignore_errors=True)
    scorer.half().save_pretrained(folder)
    save_scorer_tokenizer(pieces, folder)
    words = json.dumps(contrast_words(), ensure_ascii=False, indent=1)
    (folder / CONTRAST_FILE_NAME).write_text(words + "\n", encoding="utf-8")
    half = [0.5, 0.5, 0.5]
    SiglipImageProcessor(
        do_resize=True,
        size={"height": PICTURE_PX, "width": PICTURE_PX},
        resample=3,
        image_mean=half,
        image_std=half,
    ).save_pretrained(folder)


def contrast_words() -> list[dict[str, object]]:
    """Return the contrast sets of the match score: every subject, action and scene of the world, in each language."""
    return [
        {
            "language": language,
            "subjects": [
                still_caption(subject.name, colour, None, language, seed=2)
                for subject in SUBJECTS.values()
                for colour in subject.colours
            ],
            "scenes": [SCENE_PHRASES[language][scene][0] for scene in SCENES],
            "actions": [_PLAIN_ACTIONS[language][action] for action in ACTIONS],
            "joint": " " if language == "en" else "",
        }
        for language in LANGUAGES
    ]


def byte_count(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _name_tokenizer_class(index_path: Path, tokenizer_folder: Path) -> None:
    """Write a tokenizer class name that every version of transformers can load."""
    for path in (index_path, tokenizer_folder / "tokenizer_config.json"):
        text = path.read_text().replace('"TokenizersBackend"', '"PreTrainedTokenizerFast"')
        json.loads(text)
        path.write_text(text)
