"""Searching the audit log: one line of text, the same as a form, and the index that answers it at millions of rows."""

from audit.search.parsing import QueryError, parse
from audit.search.query import Query, Term

__all__ = ["Query", "QueryError", "Term", "parse"]
