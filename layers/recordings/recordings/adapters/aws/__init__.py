"""What the adapters of AWS and of R2 share."""
