"""A local stand-in for the WebConnect Site API: a process of its own that speaks real HTTP.

It follows what the vendor's manual documents. Where the manual is silent, what happens is a named switch
(`switches.py`), and its default is ours, not the vendor's. The modules, from the inside out:

    clock schedule wanted switches problems keys rate_limit places   small parts
    sessions relay_log connections   agent sessions, and what they go through
    parameters service               the documented endpoints: a request and the time in, an answer out
    population rows                  agents that come, go, transfer files and reconnect; sessions on order
    faults hostile log               what goes wrong on order, and what arrived
    world                            all of it together, and how it begins again
    control page                     how tests and people steer and see it; no part of the vendor's API
    wire misbehaviour server         sockets
    command process                  starting it from a shell, and from a test

Nothing here imports Django.
"""
