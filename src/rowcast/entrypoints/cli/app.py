"""The command ``rowcast``: all commands put together."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer

from rowcast.entrypoints.cli import (
    account,
    credits,
    datasets,
    doctor,
    dvc,
    file_prediction,
    keys,
    licence,
    link,
    login,
    mlflow,
    models,
    policies,
    prediction,
    predictions,
    server,
    sharing,
    storage,
    tasks,
    training,
    tuning,
    users,
)
from rowcast.entrypoints.cli.command import shared
from rowcast.entrypoints.cli.exit_codes import FAILED, INTERRUPTED, USAGE
from rowcast.entrypoints.cli.server import Servers

HELP = "Train, version and serve models of your own tables."
EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 invalid input, 5 not allowed, 6 server unavailable, "
    "130 interrupted."
)


def build(servers: Servers) -> typer.Typer:
    """The application; ``servers`` is what its commands up and demo start."""
    app = typer.Typer(
        name="rowcast", help=HELP, epilog=EPILOG, no_args_is_help=True, pretty_exceptions_enable=False, callback=shared
    )
    server.register(app, servers)
    app.add_typer(datasets.app, name="datasets")
    training.register(app)
    tuning.register(app)
    prediction.register(app)
    file_prediction.register(app)
    app.add_typer(predictions.app, name="predictions")
    app.add_typer(models.app, name="models")
    mlflow.register(app, servers.mlflow)
    app.add_typer(policies.app, name="policy")
    app.add_typer(tasks.app, name="tasks")
    app.add_typer(credits.app, name="credits")
    app.add_typer(storage.app, name="storage")
    app.add_typer(dvc.app, name="dvc")
    app.add_typer(licence.app, name="licence")
    sharing.register(models.app, datasets.app)
    dvc.register(datasets.app)
    login.register(app)
    link.register(app)
    app.add_typer(account.app, name="account")
    app.add_typer(keys.app, name="keys")
    users.register(app)
    doctor.register(app)
    return app


def run(servers: Servers, arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: see ``exit_codes`` for what each means. Nothing but SystemExit's code
    leaves: a fault of ours is one line, too."""
    try:
        code = build(servers)(args=arguments, prog_name="rowcast", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as end:  # the reader of our output went away
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        return _said("error: stopped; nothing was changed", FAILED)
    except typer.TyperException as error:
        message = error.format_message()
        return _said(f"error: {message}\n  See --help.", USAGE) if message else USAGE  # without one, help was shown
    except Exception as error:  # noqa: BLE001 - a person gets a line, never a trace
        last = traceback.extract_tb(error.__traceback__)[-1]
        return _said(f"error: unexpected {type(error).__name__} at {last.name}:{last.lineno}; please report it", FAILED)


def _said(line: str, code: int) -> int:
    sys.stderr.write(f"{line}\n")
    return code
