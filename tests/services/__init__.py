"""PostgreSQL, RabbitMQ, S3, MLflow, Ray and Prometheus of the tests' own: private folders and ports, to be killed.

Nothing that runs on the machine already is used. ``missing_postgres`` and its like say what is not installed.
"""

from services.mlflow import PrivateMlflow, missing_mlflow_s3
from services.postgres import PrivatePostgres, missing_postgres
from services.prometheus import PrivatePrometheus, Prometheus, missing_prometheus
from services.rabbit import PrivateRabbit, missing_rabbit, shared_rabbit
from services.ray_nodes import PrivateRay
from services.s3 import PrivateS3, missing_s3

__all__ = [
    "PrivateMlflow",
    "PrivatePostgres",
    "PrivatePrometheus",
    "PrivateRabbit",
    "PrivateRay",
    "PrivateS3",
    "Prometheus",
    "missing_mlflow_s3",
    "missing_postgres",
    "missing_prometheus",
    "missing_rabbit",
    "missing_s3",
    "shared_rabbit",
]
