"""What takes a Docker engine and a quarter of an hour runs when it is asked for: ``make compose-test``."""

import os

collect_ignore = [] if os.environ.get("ROWCAST_COMPOSE_TEST") else ["test_compose.py"]
