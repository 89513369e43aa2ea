"""Convert: from settled outcomes, corrections and labels to versioned training sets."""
