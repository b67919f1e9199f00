"""The trainer: from a data source to a registered, exported model."""
