"""Cloudflare RealtimeKit: its API and its webhooks."""
