"""Use cases that compare recordings with Cloudflare and import what is missing."""
