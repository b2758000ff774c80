"""The DynamoDB table: one item class per entity, and the repositories on top of them. No pynamodb type leaves it."""
