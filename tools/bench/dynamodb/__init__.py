"""A DynamoDB in memory that answers reads and counts what they cost, for benchmarks and tests.

table        partitions, and the answers to Query, GetItem and BatchGetItem
expressions  key conditions, filters and projections
trips        how many calls wait for one another
"""
