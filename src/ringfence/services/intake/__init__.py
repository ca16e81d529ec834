"""Taking user exports in: who belongs to the jurisdiction, and what of them is stored.

`naming` says what a record is called; `intake` takes one user at a time; `summary` counts what became of everything.
"""
