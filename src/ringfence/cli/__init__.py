"""The `ringfence` command, for custodian staff and overseers.

Every command speaks `--json` too, prints errors with a hint to standard error, never a traceback, and sets the exit
codes that are defined here.
"""
