"""The server's log: bounded, and without what annotators or records say."""

import logging
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

LOG = logging.getLogger("clw_argilla")
MAX_BYTES = 4 << 20


class Wordless(logging.Formatter):
    """Writes an exception's type and where it was raised, never its message: messages quote texts and values."""

    def formatException(self, ei: Any) -> str:
        """The frames, and the types of the exceptions."""
        lines = []
        error: BaseException | None = ei[1]
        while error is not None:
            lines += traceback.format_tb(error.__traceback__)
            lines.append(f"{type(error).__module__}.{type(error).__qualname__}\n")
            error = error.__cause__ or error.__context__
        return "".join(lines).rstrip()

    def format(self, record: logging.LogRecord) -> str:
        """An exception that is logged as the message is written as its type."""
        if isinstance(record.msg, BaseException):
            record.msg, record.args = type(record.msg).__qualname__, ()
        return super().format(record)


def write_to(path: Path) -> None:
    """Sends all that is logged to `path`, of which one older part is kept."""
    handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=1)
    handler.setFormatter(Wordless("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a log that cannot be written would print what it was to say
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate, logger.disabled = True, False
    for name in ("clw_argilla", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
