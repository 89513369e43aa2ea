"""Select: which signals deserve a person's attention, and why."""
