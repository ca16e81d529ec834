"""Governance: people, what they may ask for, who must agree, and what follows. Pure.

`changes` what can be asked for · `statement` the bytes that people sign · `people` the register ·
`independence` who may hold a duty · `quorum` who must agree · `standing` what it all comes to in the state ·
`folding` how each entry changes that.
"""
