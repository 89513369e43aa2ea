"""Pure rules about what may be kept and learned: pseudonyms and redaction."""
