"""`python -m refit`: the operator. Exit code 2 means a setting is wrong, and one line says which."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from pythonjsonlogger.json import JsonFormatter

from refit.audit.ledger import LedgerError
from refit.intake.settings import IntakeSettings, IntakeSettingsError
from refit.notify.configuration import ConfigurationError
from refit.notify.outbox import OutboxError
from refit.shell.app import run
from refit.shell.settings import Settings, SettingsError

EXIT_SETTINGS = 2


def main() -> int:
    """Reads the settings, sets up logging, runs."""
    try:
        settings, intake = Settings.read(), IntakeSettings.read(os.environ)
    except (SettingsError, IntakeSettingsError) as error:
        print(f"refit: {error}", file=sys.stderr)  # noqa: T201  # there is no log yet
        return EXIT_SETTINGS
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # Kopf tells of every event it relays; a line for each is no news.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    log = logging.getLogger("refit")
    log.info("effective settings", extra={"settings": settings.model_dump()})
    try:
        asyncio.run(run(settings, intake))
    except LedgerError as error:
        print(f"refit: REFIT_AUDIT_DATABASE: {error}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return EXIT_SETTINGS
    except IntakeSettingsError as error:
        print(f"refit: {error}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return EXIT_SETTINGS
    except ConfigurationError as error:
        print(f"refit: REFIT_NOTIFY_FOLDER: {error}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return EXIT_SETTINGS
    except OutboxError as error:
        print(f"refit: REFIT_NOTIFY_OUTBOX: {error}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return EXIT_SETTINGS
    except OSError as error:
        print(f"refit: REFIT_HTTP_PORT or REFIT_INTAKE_PORT: {error}", file=sys.stderr)  # noqa: T201  # as above
        return EXIT_SETTINGS
    return 0


if __name__ == "__main__":
    sys.exit(main())
