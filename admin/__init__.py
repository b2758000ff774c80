"""Commands for operators of a deployed stack. They import nothing of the local stack's tools."""


class AdminError(Exception):
    """A mistake or a failure, in one line for the operator."""
