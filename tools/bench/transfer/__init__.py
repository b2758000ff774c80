"""The copy engine beside rclone: throughput, processor time and memory, and what a transfer costs."""
