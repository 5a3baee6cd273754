"""Files that somebody made to do harm: what they can reach, and what they cost.

Each module has the cases of one kind of file, named ones first and then mutations without end.
"""
