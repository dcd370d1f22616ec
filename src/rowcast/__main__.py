"""The program ``rowcast``: joins the command line, which knows no wiring, to the programs, loaded only when needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Options, Servers, Started

if TYPE_CHECKING:
    from rowcast.settings import Settings


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    sys.exit(
        run(
            Servers(
                up=_up,
                demo=_demo,
                api=_api,
                worker=_worker,
                migrate=_migrate,
                mlflow=_mlflow,
                dashboard=_dashboard,
            )
        )
    )


def _up(options: Options, started: Started) -> int:
    from rowcast import programs

    return programs.up(_settings(options), started=started)


def _demo(options: Options, started: Started, leave: bool) -> int:
    from rowcast import programs

    return programs.demo(_settings(options), started=started, leave=leave)


def _api(options: Options, started: Started) -> int:
    from rowcast import programs

    return programs.api(_settings(options), started=started)


def _worker(options: Options, started: Callable[[], None]) -> int:
    from rowcast import programs

    return programs.worker(_settings(options), started=started)


def _migrate(options: Options) -> int:
    from rowcast import programs

    return programs.migrate(_settings(options))


def _dashboard(options: Options, api_url: str, port: int, started: Callable[[str], None]) -> int:
    from rowcast import dashboards

    return dashboards.dashboard(_settings(options), api_url, port, started=started)


def _mlflow(options: Options, port: int, started: Callable[[str], None]) -> int:
    from rowcast.adapters.tracking import ui

    return ui.show(_settings(options).resolved_tracking_url, port, started)


def _settings(options: dict[str, Any]) -> Settings:
    """The settings from the environment with these put over them.

    Raises:
        InvalidInput: one is not valid; the problems name them, never their values.
    """
    from pydantic import ValidationError

    from rowcast.errors import InvalidInput, Problem
    from rowcast.settings import Settings

    try:
        return Settings(**options)
    except ValidationError as error:
        problems = [
            Problem(code="setting_invalid", field=f"ROWCAST_{str(fault['loc'][0]).upper()}", message=fault["msg"])
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise InvalidInput("settings_invalid", "A setting is not valid.", problems) from None


if __name__ == "__main__":
    main()
