"""Use cases of one recording."""
