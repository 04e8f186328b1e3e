"""`python -m pocket.train {vae,text,transformer,experts,decoder,scorer,all,adopt}`.

Each part trains the parts that it depends on first; finished runs are loaded, interrupted runs resume. `checkpoint`
writes a checkpoint from the runs so far, finished or not; `scorer-checkpoint` replaces only the scorer in it. `adopt`
turns a finished checkpoint into working state, so that `experts` and `decoder` can train it further.
"""

import argparse
from pathlib import Path

import torch

from pocket.settings import CHECKPOINT_FOLDER, WORK_FOLDER
from pocket.train.adoption import adopt
from pocket.train.workshop import Workshop

_MODELS = ("vae", "latents", "text", "transformer", "experts", "decoder", "scorer", "all")
_PARTS = (*_MODELS, "scorer-checkpoint", "checkpoint", "adopt")


def main() -> None:
    """Parse the command line and train the named part."""
    parser = argparse.ArgumentParser(prog="python -m pocket.train", description=__doc__)
    parser.add_argument("part", choices=_PARTS)
    parser.add_argument("--folder", type=Path, default=WORK_FOLDER, help="folder of the working state")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT_FOLDER)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if arguments.part == "adopt":
        try:
            adopt(arguments.checkpoint, arguments.folder)
        except FileExistsError as error:
            parser.error(str(error))
        return
    workshop = Workshop(arguments.folder, device)
    if arguments.part in ("vae", "all"):
        workshop.vae()
    if arguments.part == "latents":
        workshop.latents()
    if arguments.part in ("text", "all"):
        workshop.text()
    if arguments.part in ("transformer", "all"):
        workshop.parent()
    if arguments.part in ("experts", "all"):
        workshop.experts()
    if arguments.part in ("decoder", "all"):
        workshop.decoder()
    if arguments.part in ("scorer", "all"):
        workshop.scorer()
    if arguments.part == "scorer-checkpoint":
        workshop.write_scorer(arguments.checkpoint)
    if arguments.part in ("checkpoint", "all"):
        workshop.write_checkpoint(arguments.checkpoint)


if __name__ == "__main__":
    main()
