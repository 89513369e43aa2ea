"""The loop on a workspace: each step reads tables, calls its stage, and commits what came of it."""
