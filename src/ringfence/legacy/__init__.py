"""Readers of data as it was before it was ring-fenced.

They stream the export layouts of the running app in bounded memory and treat every input as hostile: what cannot be
taken is reported with its file and JSON pointer, and the rest goes on.
"""
