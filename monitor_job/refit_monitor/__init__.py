"""The monitor: one measurement of a served model against what it was trained on."""
