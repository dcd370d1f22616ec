# The image of Rowcast with Ray in it, for the workers that speak to a Ray cluster and for the cluster's own nodes.
#   docker build -f deploy/docker/ray.Dockerfile .
ARG BASE=rowcast

FROM ${BASE}
USER 0:0
COPY requirements/uv.txt requirements/ray.txt /build/
# What starts nodes in Kubernetes looks for `ray` in the usual places, and asks for its health with wget.
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/root/.cache/uv \
    apt-get update && apt-get install -y --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && python3 -m venv /build/uv && /build/uv/bin/pip install --no-cache-dir --require-hashes -r /build/uv.txt \
    && VIRTUAL_ENV=/opt/venv UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy \
       /build/uv/bin/uv pip install --compile-bytecode --require-hashes -r /build/ray.txt \
    && ln -s /opt/venv/bin/ray /usr/local/bin/ray \
    && rm -rf /build
ENV RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
