"""The trainer: from a data source to a model version that passed every gate, and the story of how."""
