"""The lines of the log. A one-time link is as good as a password, so it stays out of them."""

import logging
import re

_LINK = re.compile(r"(/accounts/link/)[^/\s?#\"']+")


class Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The whole text is searched, because Django puts the path into messages and tracebacks alike."""
        return _LINK.sub(r"\1[hidden]", super().format(record))
