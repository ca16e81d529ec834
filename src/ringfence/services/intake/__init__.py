"""Taking user exports in: who belongs to the jurisdiction, and what of them is stored.

`person` reads one export and says what is to be stored of it, as `messages`, so that it can run in another process;
`naming` and `rendering` make its rows. `intake` stores what comes in `chunk`s: `planning` makes the rows of a
transaction, `entries` its ledger entries. `summary` counts what became of everything.
"""
