"""One module for each way in which spans say what a model did: attributes in, columns out."""
