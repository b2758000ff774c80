"""Runs the real template on this machine: an AWS emulator, a stand-in Cloudflare and one plain API address."""
