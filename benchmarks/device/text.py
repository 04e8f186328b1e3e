"""Step 5: umT5-xxl's encoder over 512 tokens, by the exporter's modules and by the library's model, same weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from benchmarks.device.attempts import Attempts
from benchmarks.device.drawn import draw_weights, parameter_bytes
from benchmarks.device.measure import memory_of, relative_difference, seconds_of
from benchmarks.device.sizes import sizes
from benchmarks.device.steps import Setting
from export.tracing.text_encoder import TOKEN_COUNT, text_encoder_module_graph
from export.weights.parameters import without_weights

_REPEATS = 5


def run(setting: Setting, attempts: Attempts) -> None:
    """Seconds and memory of one prompt, padding masked."""
    torch.set_grad_enabled(False)
    size, device = sizes(setting.is_tiny), setting.device
    model = draw_weights(without_weights(lambda: UMT5EncoderModel(UMT5Config(**size.text)), torch.bfloat16), device)
    attempts.figure("weight_bytes", parameter_bytes(model))
    graph = text_encoder_module_graph(model)
    graph.constants = {name: constant.to(device) for name, constant in graph.constants.items()}
    token_count = size.prompt_token_counts[0]
    input_ids = torch.randint(1, int(size.text["vocab_size"]), (1, TOKEN_COUNT), device=device)
    attention_mask = (torch.arange(TOKEN_COUNT, device=device) < token_count).long()[None]
    results: dict[str, Tensor] = {}

    def library() -> Tensor:
        encoded = model(input_ids=input_ids, attention_mask=attention_mask)
        return encoded.last_hidden_state * attention_mask[..., None]

    def measure(name: str, forward: Callable[[], Tensor]) -> None:
        with memory_of(device) as memory:
            results[name] = forward()
        attempts.figure(f"{name}_seconds", seconds_of(forward, device, _REPEATS))
        attempts.figure(f"{name}_peak_bytes", memory.peak_bytes)
        attempts.figure(f"{name}_scratch_bytes", memory.added_bytes)

    attempts.attempt("exporter", 4, lambda: measure("exporter", lambda: graph(input_ids, attention_mask)[0]))
    attempts.attempt("transformers", 4, lambda: measure("transformers", library))
    if len(results) == 2:
        difference = relative_difference(results["exporter"], results["transformers"])
        attempts.figure("difference", max(difference, 1e-12))
