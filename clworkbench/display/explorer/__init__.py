"""The explorer as a widget: what it draws with, and what it leaves behind as a still picture."""
