"""The custody service: one function per use case, all of them through the same main path.

`reading` is the main path with its steps numbered · `batch_reading`, `listing`, `searching`, `writing` (with
`write_entries`, `wards`), `erasing`, `naming` differ from it in what they ask for · `gate` what all of them share ·
`request` who asks for what · `granting`, `counting` what limits an access · `late_refusals` what is refused in its
batch · `record_keys`, `salts` what stands for names · `opening` what comes out.
"""
