"""Changes of the rules, each one entry of the authority's lane, effective from its commit.

`rule_writing` writes any rule · `authority` what the authority does alone · `signed` what people propose, approve and
order with their own keys · `trials` what the rules would say to what is open.
"""
