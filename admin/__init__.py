"""Commands for whoever operates a deployed stack."""
