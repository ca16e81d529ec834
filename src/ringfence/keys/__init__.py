"""Key holders: the only code that sees a key-encrypting key.

One device a file. Each wraps and unwraps per-subject keys for the custodian and says why each key was used; none of
them imports another device.
"""
