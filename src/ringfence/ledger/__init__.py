"""The ledger: sealed batches numbered, turned into tiles, signed and cosigned.

The sequencer alone holds the checkpoint key. The files it writes are a pure function of the committed head, so any
web server can serve them and any witness can check them.
"""
