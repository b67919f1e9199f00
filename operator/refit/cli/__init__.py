"""`kubectl refit`: what a person asks of Refit, with that person's own rights and no others."""
