"""The bridge as a program: WebSockets, sign-in of agents, limits; no Django."""
