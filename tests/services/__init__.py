"""PostgreSQL, RabbitMQ, S3, MLflow and Ray of the tests' own: private folders and ports, to be killed at will.

Nothing that runs on the machine already is used. ``missing_postgres`` and its like say what is not installed.
"""

from services.mlflow import PrivateMlflow, missing_mlflow_s3
from services.postgres import PrivatePostgres, missing_postgres
from services.rabbit import PrivateRabbit, missing_rabbit, shared_rabbit
from services.ray_nodes import PrivateRay
from services.s3 import PrivateS3, missing_s3

__all__ = [
    "PrivateMlflow",
    "PrivatePostgres",
    "PrivateRabbit",
    "PrivateRay",
    "PrivateS3",
    "missing_mlflow_s3",
    "missing_postgres",
    "missing_rabbit",
    "missing_s3",
    "shared_rabbit",
]
