"""``--benchmark --peers``: stemo beside other tools, over the same clips and faces, in one run.

::

    run.py             the comparison: who takes part, rounds in alternating order, accuracy, what is written
    known.py           the tools it knows, and why some cannot take part
    children.py        starts a tool in its own Python, and takes its answers
    child.py           what runs there: nothing of stemo is imported, for the tool's Python may know nothing of it
    *_reader.py        one for each tool: a frame in, its faces out
    accuracy.py        the faces with the right answers, and stemo's own
    table.py           the figures as a table for the terminal and for Markdown
"""
