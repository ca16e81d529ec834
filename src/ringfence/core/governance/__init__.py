"""Governance: what people may ask for, who must agree, and what follows. Pure.

`statement` (`change_shape`, `change_words`, `wording`) the bytes that people sign, and what they say in words ·
`signing` who may sign · `founding`, `founding_words` how it begins · `recording`, `voiding` what facts, and what else
takes something, take away · `quorum` who must agree · `proposals`, `orders` how a change comes about · `conditions`,
`effects` what it needs, what it does. The values that all of this is about are in `core`: `changes`, `people`, and the
entries in `ledger`.
"""
