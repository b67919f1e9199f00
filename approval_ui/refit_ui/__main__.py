"""Starts the server: `python -m refit_ui`. What the first visitor would wait for is loaded before the port opens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from refit_ui.settings import Settings, SettingsError

APP = Path(__file__).with_name("app.py")


def main() -> int:
    try:
        settings = Settings.of(os.environ)
    except SettingsError as error:
        print(f"refit_ui: {error}", file=sys.stderr)  # noqa: T201  # a command's answer
        return 2
    import altair  # noqa: F401, ICN001, PLC0415  # loaded here so that no visitor waits
    import pandas  # noqa: F401, ICN001, PLC0415  # as above
    from streamlit.web import bootstrap  # noqa: PLC0415  # as above

    import refit_ui.frame  # noqa: F401, PLC0415  # as above

    options: dict[str, object] = {"server_address": settings.host, "server_port": settings.port}
    if settings.secrets_file:
        options["secrets_files"] = [settings.secrets_file]
    os.chdir(APP.parent)  # where Streamlit looks for the theme
    bootstrap.load_config_options(options)
    bootstrap.run(str(APP), is_hello=False, args=[], flag_options=options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
