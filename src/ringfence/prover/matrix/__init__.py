"""The matrix: every question that a charter can be asked, answered by the engine that serves requests.

`domain` has the questions and merges those that no clause tells apart, `cells` asks them and holds the invariants,
`survey` says who can do what; `words`, `picture` and `cedar` are ways to show it.
"""
