"""One module for each format that signals come in: what shows it, and how one record of it becomes rows."""
