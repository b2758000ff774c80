"""Bring recordings in line with Cloudflare."""
