"""`python -m refit.notify FOLDER`: tells every receiver that this is a try, and says how that went.

Exit code 0 when all took it, 1 when one did not, 2 when the configuration is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from refit.api import meta
from refit.api.notices import Notice, NoticeKind, Severity
from refit.api.times import stamp
from refit.notify.configuration import FILE, Configuration, ConfigurationError, Secrets, read
from refit.notify.senders import DeliveryError, Sender
from refit.notify.wording import message

EXIT_UNTOLD, EXIT_CONFIGURATION = 1, 2


def main() -> int:
    """Tries them all, one after another."""
    parser = argparse.ArgumentParser(
        prog="python -m refit.notify", description="Tell every receiver that this is a try."
    )
    parser.add_argument("folder", type=Path, help=f"where {FILE} is, such as /etc/refit/notifications")
    folder = parser.parse_args().folder
    try:
        configuration = read(folder)
    except ConfigurationError as error:
        print(f"refit: {error}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return EXIT_CONFIGURATION
    if configuration is None:
        print(f"refit: there is no {FILE} in {folder}", file=sys.stderr)  # noqa: T201  # as above
        return EXIT_CONFIGURATION
    return asyncio.run(
        _try(configuration, Secrets(folder), os.environ.get("REFIT_CLUSTER_NAME", ""), datetime.now(UTC))
    )


async def _try(configuration: Configuration, secrets: Secrets, cluster: str, now: datetime) -> int:
    failed = 0
    async with aiohttp.ClientSession() as session:
        sender = Sender(session=session, secrets=secrets, fetch=_nothing)
        for receiver in configuration.receivers:
            try:
                await sender.send(receiver, message([_try_out(receiver.name, now)], configuration.page, cluster))
                said = "took it"
            except DeliveryError as error:
                failed, said = failed + 1, str(error)
            print(f"{receiver.name}: {said}")  # noqa: T201  # as above
    return EXIT_UNTOLD if failed else 0


def _try_out(receiver: str, now: datetime) -> Notice:
    return Notice(
        key=meta.sha256([receiver, now.isoformat()]),
        topic=receiver,
        kind=NoticeKind.REQUEST_ENDED,
        severity=Severity.LOW,
        namespace="refit-system",
        model="none",
        at=stamp(now),
        what="This is a try: Refit's notifications reach you",
    )


async def _nothing(uri: str) -> bytes:
    raise DeliveryError(f"{uri} is not stored")


if __name__ == "__main__":
    sys.exit(main())
