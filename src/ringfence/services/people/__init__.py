"""The HR feed: files about people, what they change in the register, and the entry that records it.

`table` reads a file's rows · `values` says what each column may hold · `lines` finds circles in reporting lines ·
`diff` tells what a file changes.
"""
