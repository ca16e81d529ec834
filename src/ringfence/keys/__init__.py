"""Key holders: the only code that sees a key-encrypting key.

`software` wraps and unwraps the subjects' keys, with keys in files · `shares` opens it where no one person can ·
`files` how key files are kept · `lane_heads` what a lane sealed last, beside its key.
"""
