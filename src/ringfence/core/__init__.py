"""What Ringfence knows, as values and pure functions.

No input or output, no clock, no randomness, no logging and no environment: time and random bytes are arguments, and
what a function needs it is given. That is what lets anyone run a recorded decision again and get the same answer.
Imports nothing of Ringfence but itself; the libraries it may use are listed in the architecture tests.

- The agreement: `charter` · `catalog` which classes a record has · `jurisdiction` whose data it is about.
- A decision: `view` what it sees · `engines` which make it · `ruling` from request to entry · `refusal_words` why not.
- What is so: `state` · `folding` the next one, from a rule · `enacting`, `credentials`, `issuers`, `naming` some rules.
- People: `register` the facts · `standing` what they may do · `changes` what they can ask for · `governance` who must
  agree · `coalition` what they could make happen together · `signatures` theirs, and `attestors` those of builders.
- The ledger: `ledger` what stands in it and how that is shown.
- What is kept: `record`, `envelope` sealed · `searchable` as it is found · `ports`, `key_custody` what devices must do.
- Everywhere: `errors`, `times`, `countries`, `exact_json`.
"""
