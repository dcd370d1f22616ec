"""The command line: everything through ``rowcast.client``, like any other user. ``app.run`` is the way in.

What takes long to import (pydantic's models, the client, tables) is imported by the functions that need it, so that
help and completion answer at once.
"""
