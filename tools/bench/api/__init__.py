"""What each function of the API, of the triggers and of the workflows costs: units, trips, calls, and its own CPU.

meter       counts what one call of a handler costs
frozen      stops the clock, so that nothing depends on when it runs
endpoints   the calls of the API that are measured
tasks       the triggers and the workflows that are measured
costs       runs all of them; reads, writes and compares the committed table
report      the table in docs/figures.md
"""
