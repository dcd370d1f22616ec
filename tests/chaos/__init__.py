"""Everything is killed at random under load, and what is lost is counted: ``make chaos``.

Clients submit predictions and trainings to two APIs. Meanwhile a killer ends APIs, workers, the broker and the database
with SIGKILL and starts them again. When all is quiet, the database and the API have to agree with what the clients
were told. ``cluster`` is what runs, ``killer`` ends it, ``clients`` use it, ``ledger`` has what they were told, and
``verdict`` holds it against what is.
"""
