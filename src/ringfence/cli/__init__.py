"""The `ringfence` command, for custodian staff and overseers.

Every command that gives a result gives it as `--json` too, prints errors with a hint to standard error, never a
traceback, and sets the exit codes of `output`.

A file for each family of commands, named like the family; `main` finds them. Beside them: `output`, `tables`,
`progress`, `files` how all of them speak, read and write · `gateway_options` how they reach a gateway · `change_file`,
`person_key` what a person brings along · `people_words`, `review_cells` results in words · `prove_subject` what is
proved of.
"""
