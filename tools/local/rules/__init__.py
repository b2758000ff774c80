"""What AWS and R2 refuse, or do in another way, and the emulator does not: docs/emulator.md lists all of it."""
