"""The loop: Kopf's events into a keyed queue; observe, plan, carry out."""
