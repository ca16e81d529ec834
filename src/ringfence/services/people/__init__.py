"""The HR feed: files about people, what they change in the register, and the entry that records it.

`values` says what each column may hold · `table` reads a file's rows · `lines` finds circles in reporting lines ·
`telling` what a request of an HR system tells · `feeding` who may send one · `diff` tells what a file or a request
changes · `recording` writes it, with what follows · `leavers` notes when too many leave · `viewing` looks at the
register.
"""
