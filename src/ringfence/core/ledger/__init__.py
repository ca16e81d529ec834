"""The ledger's format and its proofs: bytes to values and back, and what must hold between them.

`entry` what a leaf of the tree says, with `leaf` what all leaves share and `governed_entry` those that people bring
about · `detail` the openings of what entries commit to · `lane` the order of one writer's entries, and its seals ·
`merkle` the tree over all of them, `tiles` its hashes and entries as files · `signed_note`, `checkpoint` its root,
signed · `receipt`, `proof` what a caller holds of one entry, and what shows that it is in the tree.

What a rule entry does to the state is in `ringfence.core.folding`; who orders the lanes and writes the files, in
`ringfence.ledger`.
"""
