"""Who must join the excluded parties for what: a bound from the closure and the solver, and a run that shows it.

`search` asks clingo · `run` does what a coalition does, with the functions of the core · `attempts` how it goes about
each goal · `hindrance` what one person's orders take from all who erase · `answers` puts all of this together ·
`supposing` a state in which a change was made · `words` and `picture` tell what was found.
"""
