"""The custody service: one function per use case, all of them through the same main path.

`read_record` in `reading` is the main path with its steps numbered; the others differ in what they ask for.
"""
