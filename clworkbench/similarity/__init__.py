"""Which texts are alike: the same but for numbers and names, nearly the same, or about the same thing."""
