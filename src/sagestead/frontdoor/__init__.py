"""Sockets, HTTP/1.1, authentication, and the choice of a handler."""
