"""The log: one JSON object a line, for each change of state. No row of data and no token is ever in it."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, logger, message, and whatever came as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info and record.exc_info[1]:
            # A traceback's text may quote a value; its place does not.
            frame = record.exc_info[1].__traceback__
            while frame and frame.tb_next:
                frame = frame.tb_next
            found["error"] = type(record.exc_info[1]).__name__
            found["at"] = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
        return orjson.dumps(found, default=str).decode()


def set_up(level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
