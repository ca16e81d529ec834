"""What Ringfence knows, as values and pure functions.

No input or output, no clock, no randomness, no logging and no environment: time and random bytes are arguments, and
what a function needs it is given. That is what lets anyone run a recorded decision again and get the same answer.
Imports nothing of Ringfence but itself; the libraries it may use are listed in the architecture tests.

- The agreement: `charter` · `jurisdiction` whose data it is about.
- A decision: `decisions` from a request to what its entry must say.
- What is so: `state` · `folding` the next one, from a rule · `enacting`, `credentials`, `issuers`, `naming` some rules.
- People: `people` what is known of them and what they may do · `changes` what they can ask for · `governance` who must
  agree · `coalition` what they could make happen together.
- The ledger: `ledger` what stands in it, and how that is shown.
- What is kept: `record`, `envelope` sealed · `searchable` as it is found · `ports`, `key_custody` what devices must do.
- Everywhere: `errors`, `times`, `countries`, `exact_json`.
"""
