"""Manifests of full-size bundles without files, for tests of memory planning; sizes are arguments."""

from __future__ import annotations

from collections.abc import Mapping

from engine.api.capabilities import Family, Geometry
from engine.bundle.graph_spec import EngineSpec, GraphName, GraphSpec, Precision, TensorDtype, TensorSpec
from engine.bundle.manifest import GeometrySpec, GuidanceSpec, LatentSpec, Manifest, PreviewSpec, ScheduleSpec
from engine.bundle.scorer_spec import TokenizerSpec
from engine.generate.matrix_columns import KEPT_NAMES

GB = 10**9
SM_86, SM_89 = "sm_86", "sm_89"
A14B_480P = Geometry(832, 480, 81)
# Bytes of weights and of scratch at 832x480x81, about as compiled plans have them.
A14B_INT4: Mapping[GraphName, tuple[int, int]] = {
    "text_encoder": (6 * GB, GB // 4),
    "vae_encoder_init": (GB // 8, GB),
    "vae_encoder_step": (GB // 8, 2 * GB),
    "transformer_high": (77 * GB // 10, 39 * GB // 10),
    "transformer_low": (77 * GB // 10, 39 * GB // 10),
    "guide_and_step": (0, 0),
    "vae_decoder_init": (GB // 6, GB),
    "vae_decoder_step": (GB // 6, 3 * GB),
}
_TOKEN_COUNT, _TEXT_SIZE, _Z, _ORDER = 512, 4096, 16, 2
# Channels and scale of the VAE's caches, two frames each; 32 of them have 1.9 GB in fp16 at 832x480.
_CACHES = ((96, 1), (192, 2), (384, 4), (384, 8))


def a14b_manifest(
    engines: Mapping[GraphName, tuple[int, int]] = A14B_INT4,
    geometries: tuple[Geometry, ...] = (A14B_480P,),
    precision: Precision = "int4",
    compute_capability: str = SM_86,
) -> Manifest:
    """Returns a manifest of A14B shape with these (weight, scratch) bytes by stage, the same for each geometry."""
    graphs: list[GraphSpec] = []
    for geometry in geometries:
        for stage, (weight_bytes, scratch_bytes) in engines.items():
            spec = _graph(stage, geometry, precision)
            plan = EngineSpec(
                file=f"{spec.file}.{compute_capability}.plan",
                compute_capability=compute_capability,
                compiler="tensorrt_rtx",
                compiler_version="1.7",
                activation_bytes=scratch_bytes,
                weight_bytes=weight_bytes,
                plan_bytes=weight_bytes,
                build_seconds=1.0,
                host_peak_bytes=0,
            )
            if spec.file not in {item.file for item in graphs}:
                graphs.append(spec.with_changes(engines=(plan,)))
    return Manifest(
        name="wan",
        family=Family.WAN22_I2V_A14B,
        license="apache-2.0",
        checkpoint_digest="0" * 64,
        exported_with={},
        geometries=tuple(
            GeometrySpec(width_px=item.width_px, height_px=item.height_px, frame_count=item.frame_count)
            for item in geometries
        ),
        frame_rate=16.0,
        expand_timesteps=False,
        latent=LatentSpec(channel_count=_Z, spatial_stride=8, temporal_stride=4),
        schedule=ScheduleSpec(order=_ORDER, shift=5.0, step_count=40, train_step_count=1000, boundary_timestep=900.0),
        guidance=GuidanceSpec(scale=3.5, low_noise_scale=3.5, negative_prompt=""),
        tokenizer=TokenizerSpec(file="t.json", length=_TOKEN_COUNT, pad_id=0, pad_side="right", lower_case=False),
        preview=PreviewSpec(matrix=((0.0, 0.0, 0.0),) * _Z, bias=(0.0, 0.0, 0.0), r_squared=0.0),
        scorer=None,
        graphs=tuple(graphs),
        files={},
    )


def _graph(stage: GraphName, geometry: Geometry, precision: Precision) -> GraphSpec:
    inputs, outputs = _tensors(stage, geometry)
    by_size, by_length = stage.startswith("vae_"), stage.startswith(("transformer", "guide"))
    return GraphSpec(
        stage=stage,
        file=f"{stage}{f'_{geometry.width_px}x{geometry.height_px}' * (by_size or by_length)}"
        f"{f'x{geometry.frame_count}' * by_length}.onnx",
        width_px=geometry.width_px if by_size or by_length else None,
        height_px=geometry.height_px if by_size or by_length else None,
        frame_count=geometry.frame_count if by_length else None,
        precision=precision if stage.startswith("transformer") else "fp16",
        inputs=inputs,
        outputs=outputs,
        max_abs_error=None,
        max_abs_value=None,
    )


def _tensors(stage: GraphName, geometry: Geometry) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    cell = (geometry.height_px // 8, geometry.width_px // 8)
    clip = (1, _Z, (geometry.frame_count - 1) // 4 + 1, *cell)
    if stage == "text_encoder":
        ids = tuple(_tensor(name, (1, _TOKEN_COUNT), "int64") for name in ("input_ids", "attention_mask"))
        return ids, (_tensor("prompt_embeds", (1, _TOKEN_COUNT, _TEXT_SIZE)),)
    if stage.startswith("transformer"):
        prompt = _tensor("prompt_embeds", ("batch", "rows", _TEXT_SIZE)), _tensor("prompt_bias", ("batch", "rows"))
        condition = _tensor("condition", (1, _Z + 4, *clip[2:]))
        latents = _tensor("latents", clip), condition, _tensor("timestep", (1,))
        return (*latents, *prompt), (_tensor("prediction", ("batch", *clip[1:])),)
    if stage == "guide_and_step":
        state = [_tensor(name, clip) for name in ("latents", "last_sample", "x0_1", "x0_2", *KEPT_NAMES)]
        rest = _tensor("prediction", ("batch", *clip[1:])), _tensor("matrix", (6, "columns"))
        results = ("next_latents", "sample", "x0", *(f"next_{name}" for name in KEPT_NAMES))
        return (*state, *rest), (*(_tensor(name, clip) for name in results), _tensor("magnitude", (1,)))
    latent = _tensor("latent", (1, _Z, 1, *cell))
    frames = _tensor("frames", (1, 3, 1 if stage.endswith("init") else 4, geometry.height_px, geometry.width_px))
    caches = tuple(
        _tensor(
            f"cache_{index:02}",
            (1, channels, 2, geometry.height_px // scale, geometry.width_px // scale),
            "float16",
        )
        for index, (channels, scale) in enumerate(item for item in _CACHES for _ in range(8))
    )
    following = tuple(item.with_changes(name=f"next_{item.name}") for item in caches)
    source, target = (frames, latent) if stage.startswith("vae_encoder") else (latent, frames)
    return (source, *(() if stage.endswith("init") else caches)), (target, *following)


def _tensor(name: str, shape: tuple[int | str, ...], dtype: TensorDtype = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)
