"""A table in figures, and what to know before training on it. Runs in a child process."""
