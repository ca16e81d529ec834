"""Vaults: where sealed records and uncommitted ledger batches live, in one transaction.

One database a file, behind one small port from `ringfence.core.ports`; what they share is the contract suite that
both must pass. A vault sees ciphertext and pseudonyms only.
"""
