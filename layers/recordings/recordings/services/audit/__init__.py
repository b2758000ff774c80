"""Compare what is stored with the records."""
