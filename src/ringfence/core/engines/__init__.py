"""Decision engines, one frozen module each.

An engine turns state and a request into a decision. Once an engine has decided anything in a ledger, its module is
never edited: a correction is a new engine, activated by an entry in the ledger, so that history stays checkable by
the engine that made it. Every engine has test vectors.
"""
