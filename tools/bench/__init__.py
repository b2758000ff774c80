"""Benchmarks: figures with the command that prints them. They measure; they do not pass or fail."""
