"""`ringfence demo`: the main job from end to end on made-up users, each step a real call with its real answer.

`story` tells what happens · `access`, `hiring`, `tampering` some of its steps · `team` the people in it · `stage`
starts and stops the real programs · `paper` lays out what they answer.
"""
