"""The custody service: one function per use case, all of them through the same main path.

`reading` is the main path with its steps numbered · `batch_reading`, `listing`, `searching`, `writing` (with
`write_entries`, `wards`), `erasing`, `naming` differ from it in what they ask for.

What they share: `gate` the devices and the lanes · `request` who asks for what, `request_checks`, `callers` whether the
charter and the ledger know that · `rulings` deciding · `granting`, `counting` what limits an access · `access_entries`
what is written of it · `refusing` what is said instead, `late_refusals` once it stands in its batch · `erased` who is
gone meanwhile · `opening`, `answering` what comes out · `record_keys`, `salts` what stands for names.
"""
