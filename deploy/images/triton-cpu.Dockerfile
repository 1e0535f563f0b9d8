# Triton for CPUs, small: the server that `steadyline up` starts, laid out as NVIDIA's image has it.
#   python -m tools.images build triton-cpu
ARG IMAGE_PYTHON

# hadolint ignore=DL3006
FROM ${IMAGE_PYTHON} AS base
ENV LANG=C.UTF-8 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1

FROM base AS build
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/tools/bin
COPY requirements/bootstrap.lock requirements/image-tools.lock /locks/
RUN --mount=type=cache,target=/root/.cache \
    python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --disable-pip-version-check --require-hashes -r /locks/bootstrap.lock \
    && uv pip install --python /opt/tools/bin/python --require-hashes -r /locks/image-tools.lock
COPY requirements/triton.lock requirements/triton-server.lock requirements/image-steadyline.lock /locks/
RUN --mount=type=cache,target=/root/.cache \
    python3 -m venv --without-pip /opt/triton \
    && uv pip install --python /opt/triton/bin/python --require-hashes --no-deps --compile-bytecode \
    -r /locks/triton.lock -r /locks/triton-server.lock \
    && python3 -m venv --without-pip /opt/steadyline \
    && uv pip install --python /opt/steadyline/bin/python --require-hashes --no-deps --compile-bytecode \
    -r /locks/image-steadyline.lock
WORKDIR /source
COPY pyproject.toml README.md ./
COPY alerts/ alerts/
COPY producers/ producers/
COPY scorer/ scorer/
COPY steadyline/ steadyline/
COPY trainer/ trainer/
COPY deploy/images/triton_layout.py /layout/
RUN uv build --wheel --no-build-isolation --python /opt/tools/bin/python -o /dist . \
    && uv pip install --python /opt/steadyline/bin/python --no-deps --no-index --compile-bytecode /dist/*.whl \
    && python3 /layout/triton_layout.py /opt/triton /opt/steadyline /opt/tritonserver \
    && mkdir -p /opt/steadyline/share/steadyline \
    && cyclonedx-py environment --output-reproducible --output-format JSON \
    --output-file /opt/steadyline/share/steadyline/sbom.cdx.json /opt/triton/bin/python

FROM base
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="steadyline triton-cpu" \
    org.opencontainers.image.description="Triton for CPUs with the start and the checks of steadyline." \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/steadyline/ /opt/steadyline/
COPY --from=build /opt/triton/ /opt/triton/
COPY --from=build /opt/tritonserver/ /opt/tritonserver/
RUN install -d -o 10001 -g 10001 /models
ENV PATH=/opt/triton/bin:/usr/local/bin:/usr/bin:/bin LD_LIBRARY_PATH=/opt/tritonserver/lib HOME=/tmp
WORKDIR /models
VOLUME ["/models"]
USER 10001:10001
EXPOSE 8000 8001 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/opt/steadyline/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["/opt/steadyline/bin/python", "-m", "steadyline", "triton"]
CMD ["--host", "0.0.0.0"]
