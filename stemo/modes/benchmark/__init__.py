"""``--benchmark``: how fast this machine reads, by stage and whole, so that figures can be compared and repeated."""
