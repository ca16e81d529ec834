"""Taking user exports in: who belongs to the jurisdiction, and what of them is stored.

`person` reads one export and says what is to be stored of it · `messages` how it says that, for it can run in another
process · `record_names`, `rendering`, `sealing` make its rows · `intake` stores what comes in · `chunk` what goes into
one transaction · `planning` the rows of one, `entries` what its ledger entries name · `summary` counts what
became of everything.
"""
