"""Reports for people: an order in, a page drawn as PDF, its address out."""
