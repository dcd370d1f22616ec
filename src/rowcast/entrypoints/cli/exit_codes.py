"""How the program ends.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | the operation or the task failed |
| 2 | the command was not written right |
| 3 | there is no such thing |
| 4 | the input is not valid |
| 5 | no key, a wrong key, a key that may not do this, or not enough credits |
| 6 | the server, or a part of it, does not answer |
| 130 | interrupted |
"""

from __future__ import annotations

FAILED = 1
USAGE = 2
NOT_FOUND = 3
INVALID = 4
NOT_ALLOWED = 5
UNAVAILABLE = 6
INTERRUPTED = 130
