"""People: what is known of them, what they may do, and how their word is told from anybody else's. Values only.

`register` the facts that are told of them, and the ties that ended · `independence` which of these keep somebody from a
duty · `standing` what people agreed to so far: members, their duties and keys, grants, builds, suspensions ·
`signatures` people's own keys and signatures · `attestors` the keys of those who vouch for builds.

What they can ask for is in `ringfence.core.changes`; who must agree to it, and what then follows, in
`ringfence.core.governance`.
"""
