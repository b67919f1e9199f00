"""The intake: alerts and signed events from outside, stored before they are answered with 2xx.

It knows nothing of the cluster and decides nothing: it keeps what senders said of a model, and tells the
operator to look again. What an alert says never becomes a name, an image, a command or a path.
"""

from refit.intake.events import StoredEvent
from refit.intake.server import running
from refit.intake.settings import IntakeSettings, IntakeSettingsError
from refit.intake.store import AlertStore, StoredAlert

__all__ = ["AlertStore", "IntakeSettings", "IntakeSettingsError", "StoredAlert", "StoredEvent", "running"]
