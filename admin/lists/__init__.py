"""Lists of recordings: move them to rows and tallies by calendar, compare them with the recordings, mend them.

The modules import the adapters of the table, which read the environment: `admin.table` sets it before.
"""
