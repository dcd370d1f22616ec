"""What needs more than Debian's packages is not collected where that is missing; `make help` names the targets."""

import os
import shutil

collect_ignore = []
if "ROWCAST_COMPOSE_TEST" not in os.environ:
    collect_ignore.append("test_compose.py")  # a Docker engine and a quarter of an hour: make compose-test
if not shutil.which("kubectl"):
    collect_ignore.append("test_manifests.py")  # the kubectl of Debian is too old to render them
