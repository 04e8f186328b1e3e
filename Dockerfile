# Two stages: one installs, one serves. The serving image holds no torch and runs as nobody in particular.
#   docker build -t stillcue .                                          serves on the CPU
#   docker build --build-arg EXTRAS=server,tensorrt -t stillcue .       serves on an NVIDIA GPU; run with --gpus all
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 50051:50051 -p 9464:9464 \
#     -v /path/to/bundle:/bundle:ro -v /path/to/tls:/tls:ro -e STILLCUE_TLS_CERTIFICATE_CHAIN=/tls/server.pem \
#     -e STILLCUE_TLS_PRIVATE_KEY=/tls/server.key -e STILLCUE_CALLERS=/tls/callers stillcue
# Nothing is written but compiled kernels of a GPU, into /cache: -v stillcue-kernels:/cache keeps them for the next
# start. The root may be read-only, without a /tmp. Frames cross from the engine's process through
# /dev/shm; docker's 64 MB are enough. Without a certificate the server refuses to start,
# unless plain text is asked for by -e STILLCUE_ALLOW_INSECURE=true, for a network that only a proxy with TLS reaches.
FROM python:3.11-slim AS install
ARG EXTRAS=server
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY clients/python clients/python
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home stillcue && install -d -o stillcue /cache
COPY --from=install /venv /venv
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
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-m", "server.probe"]
ENTRYPOINT ["python", "-m", "server"]
