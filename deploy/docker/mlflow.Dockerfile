# MLflow's server with what it needs for PostgreSQL and S3: the `mlflow` of compose.yaml.
#   docker build -f deploy/docker/mlflow.Dockerfile .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_SYSTEM_CERTS=true
WORKDIR /build
COPY requirements/uv.txt requirements/mlflow.txt requirements/
RUN python -m venv /uv && /uv/bin/pip install --no-cache-dir --require-hashes -r requirements/uv.txt
RUN --mount=type=cache,target=/root/.cache/uv \
    python -m venv --without-pip /opt/venv \
    && VIRTUAL_ENV=/opt/venv /uv/bin/uv pip install --compile-bytecode --require-hashes -r requirements/mlflow.txt

FROM ${BASE}
RUN useradd --uid 10001 --user-group --create-home --home-dir /var/lib/mlflow --shell /usr/sbin/nologin mlflow
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/mlflow
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=8s --start-period=60s --start-interval=3s \
    CMD ["python", "-ISc", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health', timeout=7)"]
ENTRYPOINT ["mlflow", "server"]
