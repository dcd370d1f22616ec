"""From a table and a recipe to fitted models. Runs in a child process."""
