"""API operations: one module a noun, one short function an operation.

Each module offers `OPERATIONS`, operation name -> function. A function gets a `Context` and the request's
members (already checked against the operation's shape) and returns the answer's members; members that are
None are left out of the answer, so are empty structures that the client did not send.
"""
