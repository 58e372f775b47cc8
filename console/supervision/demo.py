"""The hook for what a first run shows: the stand-in of WebConnect and a source that points to it."""


def demo_process() -> list[str] | None:
    """The command of the stand-in where the demo source exists; None where there is nothing to start."""
    return None
