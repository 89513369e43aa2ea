"""How results look: progress on standard error, tables on a terminal, HTML in a notebook."""
