"""A desktop agent for Python: its core takes inputs and times and gives effects; `agent` is the asyncio side of it."""
