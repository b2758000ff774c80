"""Bring one file to where it belongs."""
