"""What the rules come to, found out before anyone asks: computed from a charter or a state, and from nothing else.

`matrix` puts every question that a decision can see to the engine that serves requests. `coalition` finds out how few
people could make it answer otherwise. `page` is what their pictures stand in.
"""
