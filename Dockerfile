# One stage installs, one serves. The serving images hold no torch and run as nobody in particular.
#   docker build -t stillcue .                           serves on the CPU
#   docker build --target card -t stillcue-card .        serves on an NVIDIA GPU; run with --gpus all
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 50051:50051 -p 9464:9464 \
#     -v /path/to/bundle:/bundle:ro -v /path/to/tls:/tls:ro -v stillcue-cache:/cache \
#     -e STILLCUE_TLS_CERTIFICATE_CHAIN=/tls/server.pem -e STILLCUE_TLS_PRIVATE_KEY=/tls/server.key \
#     -e STILLCUE_CALLERS=/tls/callers stillcue
# Only /cache is written: which files of a large bundle matched their digests, and compiled kernels of a GPU. A volume
# keeps both for the next start. The root may be read-only, without a /tmp. Frames cross from the engine's process through
# /dev/shm; docker's 64 MB are enough. Without a certificate the server refuses to start,
# unless plain text is asked for by -e STILLCUE_ALLOW_INSECURE=true, for a network that only a proxy with TLS reaches.
FROM python:3.11-slim AS sources
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY clients/python clients/python
RUN python -m venv /venv

FROM sources AS libraries
ARG EXTRAS=server
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[${EXTRAS}]"

# TensorRT for RTX has all of CUDA that it needs inside; libcuda is the host's. The extra cuda brings onnxruntime-gpu,
# which has the files of onnxruntime under the same names: only one of them may stay.
FROM sources AS card-libraries
ARG CARD_EXTRAS=server,tensorrt
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[${CARD_EXTRAS}]" \
 && case ",${CARD_EXTRAS}," in *,cuda,*) \
      /venv/bin/pip uninstall --yes onnxruntime onnxruntime-gpu \
      && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps -c constraints.txt onnxruntime-gpu ;; \
    esac

FROM python:3.11-slim AS program
RUN useradd --system --uid 10001 --no-create-home stillcue && install -d -o stillcue /cache
COPY server /app/server
COPY engine /app/engine
WORKDIR /app
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    STILLCUE_BUNDLE=/bundle STILLCUE_LISTEN=0.0.0.0:50051 STILLCUE_METRICS_LISTEN=0.0.0.0:9464 \
    STILLCUE_HEALTH_LISTEN=127.0.0.1:50052 XDG_CACHE_HOME=/cache
EXPOSE 50051 9464
VOLUME /bundle
# The longest job may finish after SIGTERM: give the container as long (docker stop --time, terminationGracePeriod).
STOPSIGNAL SIGTERM
# The first start on a large bundle reads all of it; a later one takes as long as loading.
HEALTHCHECK --interval=10s --timeout=3s --start-period=600s --retries=3 CMD ["python", "-m", "server.probe"]
ENTRYPOINT ["python", "-m", "server"]

# NVIDIA's container toolkit mounts the driver's libraries of these capabilities: compute is CUDA, utility is NVML for
# the metrics, video is NVENC for video files. Without a GPU the server refuses to start; it never serves on the CPU.
FROM program AS card
COPY --from=card-libraries /venv /venv
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video STILLCUE_DEVICE=cuda

FROM program
COPY --from=libraries /venv /venv
