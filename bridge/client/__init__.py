"""A desktop agent: its side of the bridging protocol, and an async API with the names of FDC3; no Django."""
