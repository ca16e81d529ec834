"""The ledger: sealed batches numbered, turned into tiles, signed.

The sequencer alone holds the checkpoint key. The files it writes are a pure function of the committed head, so any
web server can serve them and anyone can check them.

`sequencer` the process and its rounds · `lane_pull` what one lane stored, verified · `ordering` where it goes ·
`growth`, `tree_writer`, `disk` how it becomes files · `tree_standing` what the tree holds of each lane · `resume`,
`rollback`, `shown` where a start goes on, and what it refuses · `leaves`, `tree_reader` reading back · `receipts`,
`watch` whether an entry got there · `export` the bundle.
"""
