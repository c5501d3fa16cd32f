# Training: raw text to bundles. PyTorch for CPUs; for GPUs build with --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128
#   docker build -f docker/train.Dockerfile -t electra-train .
# Build secrets, all optional: pip (a pip.conf), ca (a bundle of certificates).
ARG BASE_IMAGE=python:3.11.14-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}
ARG COMPILER_IMAGE=buildpack-deps:bookworm

# The kernels for CPUs with AMX, so that the image needs no compiler: on any x86 machine; others have none.
FROM ${COMPILER_IMAGE} AS kernels
COPY training/electra/native /native
RUN cd /native && [ "$(uname -m)" != x86_64 ] || \
    g++ @flags *.cpp -o "kernels-$(cat flags *.cpp *.hpp | sha256sum | cut -c1-16).so"

FROM ${BUILD_IMAGE} AS builder
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY pyproject.toml LICENSE requirements-dev.lock docker/image/build.lock /build/
# Libraries first: they change seldom and weigh most. The lock pins every version, the extra names what training needs.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca; fi && \
    python3 -m venv /tools && python3 -m venv --without-pip /opt/electra && cd /build && \
    /tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r build.lock && \
    mkdir app training && : > README.md && \
    /tools/bin/python -m pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /empty . && \
    /tools/bin/python -m pip --python /opt/electra/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --no-binary rouge-score ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        --constraint requirements-dev.lock "$(echo /empty/*.whl)[train]"
COPY app /build/app
COPY training /build/training
COPY --from=kernels /native /build/training/electra/native
RUN cd /build && \
    /tools/bin/python -m pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /wheel . && \
    /tools/bin/python -m pip --python /opt/electra/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-index --no-deps --force-reinstall /wheel/*.whl

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ELECTRA training" \
      org.opencontainers.image.description="Pretraining, fine-tuning and export of ELECTRA bundles" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=builder /opt/electra /opt/electra
COPY training/recipes /srv/electra/training/recipes
COPY training/sample /srv/electra/training/sample
# Whoever the container runs as (`user:`) writes its runs here, so the folders belong to everybody.
RUN mkdir -p /srv/electra/runs /srv/electra/models /srv/electra/data && chmod 1777 /srv/electra/runs /srv/electra/models
ENV PATH=/opt/electra/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    HOME=/tmp
USER 10001:10001
WORKDIR /srv/electra
STOPSIGNAL SIGINT
ENTRYPOINT ["electra-train"]
CMD ["--help"]
