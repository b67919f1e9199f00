"""Migrations of the audit's tables.

The first makes what refit.audit.tables says. Whoever changes those tables spells out in the first what it made until
then, and adds the second.
"""
