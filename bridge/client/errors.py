"""What an API call raises: one exception, whose `error` is the string that the standard has for it."""


class FDC3Error(Exception):
    """`error` is one of the standard's own strings, which is all that crosses the bridge (R56); `why` is for people."""

    def __init__(self, error: str, why: str = "") -> None:
        super().__init__(f"{error}: {why}" if why else error)
        self.error = error
        self.why = why


class NotConnectedToBridge(FDC3Error):
    """R58."""

    def __init__(self, why: str = "this agent is on no bridge at the moment") -> None:
        super().__init__("NotConnectedToBridge", why)


class TimedOut(FDC3Error):
    """R49."""

    def __init__(self, why: str = "the bridge did not answer in time") -> None:
        super().__init__("ResponseToBridgeTimedOut", why)


def error_of(error: str) -> FDC3Error:
    """The exception for an error that came as a string."""
    match error:
        case "NotConnectedToBridge":
            return NotConnectedToBridge()
        case "ResponseToBridgeTimedOut":
            return TimedOut()
    return FDC3Error(error)
