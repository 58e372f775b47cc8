"""The database's clock, which the audit log keeps time by too."""

from audit.clock import EpochNow, database_now

__all__ = ["EpochNow", "database_now"]
