"""The hot path: models in memory, rows in, answers out."""
