"""From sources to signals, and what the policy and outcomes make of them."""
