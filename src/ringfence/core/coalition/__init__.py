"""Coalitions: what people who collude could make happen, and how many must join before it is something protected.

`world` what a state says of who could do what · `lending` what others asked for and agreed to already · `terms` what is
asked of how many, as counts · `rules` what follows from what · `closure` what a coalition reaches at most · `floor` how
few must join · `path` how they get there, in sentences · `gate` what a change may leave · `countings` all of this under
a frozen name.
"""
