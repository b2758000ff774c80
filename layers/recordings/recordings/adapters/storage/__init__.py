"""Buckets that speak the S3 protocol, and the files in them."""
