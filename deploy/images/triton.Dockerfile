# Triton for a plant: NVIDIA's own image, started by `steadyline triton`, which checks the model repository first.
#   python -m tools.images build triton
ARG IMAGE_TRITON

# hadolint ignore=DL3006
FROM ${IMAGE_TRITON} AS build
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /source
COPY requirements/bootstrap.lock requirements/image-tools.lock requirements/image-steadyline.lock /locks/
RUN --mount=type=cache,target=/root/.cache \
    python3 -m pip install --no-cache-dir --require-hashes --target /opt/tools -r /locks/bootstrap.lock \
    && /opt/tools/bin/uv venv --python python3 /opt/build \
    && /opt/tools/bin/uv pip install --python /opt/build/bin/python --require-hashes -r /locks/image-tools.lock \
    && /opt/tools/bin/uv venv --python python3 /opt/steadyline \
    && /opt/tools/bin/uv pip install --python /opt/steadyline/bin/python --require-hashes --no-deps \
    --compile-bytecode -r /locks/image-steadyline.lock
COPY pyproject.toml README.md ./
COPY alerts/ alerts/
COPY producers/ producers/
COPY scorer/ scorer/
COPY steadyline/ steadyline/
COPY trainer/ trainer/
RUN /opt/tools/bin/uv build --wheel --no-build-isolation --python /opt/build/bin/python -o /dist . \
    && /opt/tools/bin/uv pip install --python /opt/steadyline/bin/python --no-deps --no-index \
    --compile-bytecode /dist/*.whl \
    && mkdir -p /opt/steadyline/share/steadyline \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
    --output-file /opt/steadyline/share/steadyline/sbom.cdx.json /opt/steadyline/bin/python

# hadolint ignore=DL3006
FROM ${IMAGE_TRITON}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="steadyline triton" \
    org.opencontainers.image.description="Triton with the start and the checks of steadyline." \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/steadyline/ /opt/steadyline/
RUN install -d -o 10001 -g 10001 /models
ENV PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /models
VOLUME ["/models"]
USER 10001:10001
EXPOSE 8000 8001 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["/opt/steadyline/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["/opt/steadyline/bin/python", "-m", "steadyline", "triton"]
CMD ["--host", "0.0.0.0"]
