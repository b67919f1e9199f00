"""`python -m refit_collector serve`: the collector. `key NAMESPACE` prints that namespace's ingest key.

Exit code 2 means a setting is wrong, and one line says which.
"""

from __future__ import annotations

import argparse
import os
import sys

from refit_collector import logs, settings
from refit_collector.settings import SettingsError

EXIT_SETTINGS = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="refit_collector", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the collector")
    commands.add_parser("key", help="print the ingest key of a namespace").add_argument("namespace")
    given = parser.parse_args()
    try:
        read = settings.read(os.environ)
        if given.command == "key":
            return _print_key(read, given.namespace)
        logs.set_up(read.log_level)
        # Imported late: a wrong setting is told at once.
        from refit_collector.server import run  # noqa: PLC0415

        run(read)
    except SettingsError as error:
        print(f"refit_collector: {error}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return EXIT_SETTINGS
    return 0


def _print_key(read: settings.Settings, namespace: str) -> int:
    from refit_collector.identity import ingest_key  # noqa: PLC0415  # as above
    from refit_collector.store import SECRET  # noqa: PLC0415

    try:
        secret = (read.data_dir / SECRET).read_bytes()
    except OSError as error:
        raise SettingsError(f"REFIT_COLLECTOR_DATA_DIR: {error}; start the collector once") from None
    print(ingest_key(secret, namespace))  # noqa: T201  # what was asked for
    return 0


if __name__ == "__main__":
    sys.exit(main())
