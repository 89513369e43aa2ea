"""How providers and frameworks write calls and messages, whatever tool reports them."""
