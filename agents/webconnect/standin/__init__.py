"""A local stand-in for the WebConnect Site API: a process of its own that speaks real HTTP.

It follows what the vendor's manual documents. Where the manual is silent, what happens is a named switch
(`switches.py`), and its default is ours, not the vendor's. The modules, from the inside out:

    clock schedule switches problems keys rate_limit sessions relay_log parameters   small parts, no I/O
    service      the documented endpoints over those parts; the time is an argument
    population   agents that come, go, transfer files and reconnect
    faults log   what goes wrong on order, and what arrived
    world        all of it together, and how it starts again
    control page what tests and people see of it; no part of the vendor's API
    server misbehaviour   sockets, and only sockets
    command process       starting it from a shell, and from a test

Nothing here imports Django.
"""
