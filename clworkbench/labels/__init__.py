"""Labels: what people say about signals."""
