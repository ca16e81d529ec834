"""Vaults: where sealed records and uncommitted ledger batches live, in one transaction.

Two databases behind one small port from `ringfence.core.ports`; what they share is the contract suite that both must
pass, and `batch_rows`. A vault sees ciphertext and pseudonyms only. `sqlite` and `postgres` are the stores, each with
the files that begin with its name; `audit` holds their rows against the ledger, with those that begin with its own.
"""
