"""What the rules come to, found out before anyone asks: computed from a charter or a state, and from nothing else.

The matrix puts every question that a decision can see to the engine that serves requests.
"""
