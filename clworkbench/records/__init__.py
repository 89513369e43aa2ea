"""Records: notebooks that were executed, with all that is needed to run them again."""
