"""The local stack, gates, benchmarks and writers of documents."""
