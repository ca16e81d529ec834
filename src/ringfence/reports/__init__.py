"""What an evidence bundle says, for people to read: one entry explained; reviews of who could, who did, who need not.

Needs no network and no secret, as `verify`, and proves nothing: a report is as true as the bundle is.

`history` the rules up to a moment · `names` who a number is · `explaining`, `agreeing`, `sentences` one entry ·
`access`, `activity`, `stale` the reviews · `movement` what moved the smallest coalition.
"""
