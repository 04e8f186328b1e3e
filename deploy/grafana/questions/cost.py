"""Panels for the question "what does a clip cost, and where does the time go?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import COMPLETED, FULL_STEPS, SERVER, increase, mean, quantiles, rate
from deploy.grafana.panels import Heat, Lines, Number, Query

COST = Question(
    "What does a clip cost, and where does the time go?",
    (
        Number(
            "Engine time of a clip",
            "`stillcue_stage_seconds`, `stillcue_jobs_total`: mean of all stages of a completed clip. Multiplied by "
            "the price of GPU time it gives the price of a clip.",
            (
                Query(
                    f"{increase('stillcue_stage_seconds_sum', '')}"
                    f" / ({increase('stillcue_jobs_total', '', COMPLETED)} > 0)"
                ),
            ),
            unit="s",
            height=8,
        ),
        Lines(
            "Mean time of each stage",
            "`stillcue_stage_seconds`: denoising should take most. A long text stage: prompts miss the cache, or "
            "weights are swapped in, see GetCapabilities.",
            (Query(mean("stillcue_stage_seconds", "stage"), "{{stage}}"),),
            unit="s",
            width=10,
            is_stacked=True,
        ),
        Lines(
            "Mean time of a full step, by expert",
            "`stillcue_denoise_step_seconds` of steps that compute everything: depends on size, length and guidance. A "
            "rise without a change of those: a hot GPU, see StillcueStepsSlow in docs/operations.md.",
            (Query(mean("stillcue_denoise_step_seconds", "instance, expert", FULL_STEPS), "{{instance}} {{expert}}"),),
            unit="s",
            width=10,
            has_exemplars=True,
        ),
        Lines(
            "Denoising steps, by what they compute",
            "`stillcue_denoise_step_seconds`: steps a second. `full`: everything is computed. `guidance_reused` and "
            "`reused`: parts come from earlier steps, as `--step-reuse` or the request allows.",
            (Query(rate("stillcue_denoise_step_seconds_count", "work"), "{{work}}"),),
            unit="ops",
            is_stacked=True,
        ),
        Heat(
            "Time of steps",
            "`stillcue_denoise_step_seconds`: two bands are two sizes of clip; a band that drifts up is a GPU that "
            "throttles. Steps that reuse earlier ones are a band of their own.",
            (Query(increase("stillcue_denoise_step_seconds_bucket", "le", window="$__rate_interval"), "{{le}}"),),
            unit="s",
            has_exemplars=True,
        ),
        Lines(
            "Time from frame to frame",
            "`stillcue_frame_interval_seconds`: decoding. p95 is the time of a group of four frames; p50 is near 0, "
            "because the frames of a group are sent together.",
            quantiles("stillcue_frame_interval_seconds"),
            unit="s",
        ),
        Lines(
            "Time to encode a chunk of video",
            "`stillcue_video_encode_seconds`: four frames by the CPU, or by NVENC where `--video-encoders` names it. "
            "Above the time from frame to frame the file comes later than its frames.",
            quantiles("stillcue_video_encode_seconds"),
            unit="s",
            has_exemplars=True,
        ),
        Lines(
            "Bytes of video",
            "`stillcue_video_bytes_total`: bytes a second of the video files that `stream.video_container` asks for.",
            (Query(f"sum(rate(stillcue_video_bytes_total{{{SERVER}}}[$__rate_interval]))", "encoded"),),
            unit="Bps",
        ),
        Lines(
            "GPU utilisation",
            "`stillcue_gpu_utilization_ratio`: low while jobs run: the GPU waits for the host. Empty: no GPU, or the "
            "extra `tensorrt` is missing.",
            (Query(f"stillcue_gpu_utilization_ratio{{{SERVER}}}", "{{instance}} {{gpu}} {{gpu_name}}"),),
            unit="percentunit",
        ),
    ),
)
