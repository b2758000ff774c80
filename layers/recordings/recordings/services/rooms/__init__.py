"""Use cases of rooms."""
