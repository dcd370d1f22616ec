"""Predictions for whole files: read in parts, each scored and written on its own. Runs in a child process."""
