"""Models: what a name stands for, its weights on disk, loading, and generation in batches."""
