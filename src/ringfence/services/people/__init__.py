"""The HR feed: files about people, what they change in the register, and the entry that records it.

`values` says what each column may hold · `table` reads a file's rows · `lines` finds circles in reporting lines ·
`diff` tells what a file changes · `recording` writes it, with what follows · `viewing` looks at the register.
"""
