"""What the state machines send to their functions, and what the functions return.

One module for each state machine, so that a function loads few models. Every task has a model for its input and one
for its output, named after the function: `CopySegmentInput`, `CopySegmentOutput`. Values of the domain are fields as
they are.
"""
