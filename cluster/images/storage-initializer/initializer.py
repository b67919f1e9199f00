"""The entry point KServe expects of a storage initializer: `SOURCE DESTINATION [SOURCE DESTINATION ...]`."""

import sys

from kserve_storage import Storage

arguments = sys.argv[1:]
if not arguments or len(arguments) % 2:
    sys.exit("usage: initializer SOURCE DESTINATION [SOURCE DESTINATION ...]")
for source, destination in zip(arguments[::2], arguments[1::2], strict=True):
    print(f"downloading {source} to {destination}", flush=True)
    Storage.download(source, destination)
