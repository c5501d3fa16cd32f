# The service: runtime dependencies by hash, the application, nothing that installs or compiles.
#   docker build -f docker/service.Dockerfile -t electra-service .
# Build secrets, all optional, for machines behind a mirror or a proxy: pip (a pip.conf), ca (a bundle of certificates).
ARG BASE_IMAGE=python:3.11.14-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS builder
COPY requirements.lock docker/image/build.lock docker/image/gpu.lock /build/
# Where the dependencies come from; the GPU image takes gpu.lock.
ARG LOCK=requirements.lock
# Pip stays in an environment of its own, which the final stage never sees.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca; fi && \
    python3 -m venv /tools && python3 -m venv --without-pip /opt/electra && \
    /tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/build.lock && \
    /tools/bin/python -m pip --python /opt/electra/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r "/build/${LOCK}"
COPY pyproject.toml LICENSE /build/
COPY app /build/app
COPY docker/image/slim.py docker/image/sbom.py /build/image/
RUN cd /build && : > README.md && \
    /tools/bin/python -m pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /wheel . && \
    /tools/bin/python -m pip --python /opt/electra/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-index --no-deps /wheel/*.whl && \
    /opt/electra/bin/python image/slim.py /opt/electra

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ELECTRA service" \
      org.opencontainers.image.description="Text classification, replaced-token detection and extractive summarization" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=builder /opt/electra /opt/electra
COPY docker/image/healthcheck.py /opt/electra/healthcheck.py
COPY docker/image/sbom.py /tmp/sbom.py
# The base image's own pip goes too. The bill of materials lists what is left: Python packages and Debian's.
RUN rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/site-packages/setuptools* \
        /usr/local/lib/python3*/site-packages/wheel* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* \
        /usr/local/bin/wheel /usr/share/python-wheels && \
    /opt/electra/bin/python /tmp/sbom.py /opt/electra/sbom.cdx.json && rm /tmp/sbom.py && \
    mkdir /models
# The CUDA 13 libraries of the GPU lock (for drivers from 580 on) lie among the Python packages, where the loader does not
# look by itself.
RUN for folder in /opt/electra/lib/python3*/site-packages/nvidia/*/lib; do \
        [ ! -d "$folder" ] || echo "$folder" >>/etc/ld.so.conf.d/electra.conf; done && ldconfig
ENV PATH=/opt/electra/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ELECTRA_HOST=0.0.0.0 \
    ELECTRA_PORT=8000 \
    ELECTRA_MODELS_DIR=/models
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 \
    CMD ["/opt/electra/bin/python", "-I", "-S", "/opt/electra/healthcheck.py"]
ENTRYPOINT ["electra-serve"]
