"""Commands for whoever operates a deployed stack."""


class Refused(Exception):
    """One clear line: what went wrong."""
