"""The scoring endpoints of an MLflow model server, for each model: for MLflow's own client and SageMaker's callers."""
