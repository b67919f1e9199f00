# ruff: noqa: INP001 - a script that the image copies, no package
"""The entry point KServe expects of a storage initializer: `SOURCE DESTINATION [SOURCE DESTINATION ...]`."""

import sys

from kserve_storage import Storage

arguments = sys.argv[1:]
if not arguments or len(arguments) % 2:
    sys.exit("usage: initializer SOURCE DESTINATION [SOURCE DESTINATION ...]")
for source, destination in zip(arguments[::2], arguments[1::2], strict=True):
    sys.stdout.write(f"downloading {source} to {destination}\n")
    sys.stdout.flush()
    Storage.download(source, destination)
