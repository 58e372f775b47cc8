"""The Sessions page with 10,000 sessions, against the same page with 100.

Two consoles, each a web of its own on a database of its own, are asked in turn by a person who is signed in.
"""
