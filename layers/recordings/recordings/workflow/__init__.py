"""How the service speaks to Step Functions."""
