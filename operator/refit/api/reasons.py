"""The reasons of conditions. Each has its paragraph in docs/troubleshooting.md, and a test that it has."""

from __future__ import annotations

from refit.api.base import Choice


class Reason(Choice):
    """Why a condition is as it is, as far as the operator itself decides; the trainer adds its own refusals."""

    # Ready, and the way there
    SERVING = "Serving"
    TRAINING = "Training"
    ROLLING_OUT = "RollingOut"
    UNAVAILABLE = "Unavailable"
    # A person must act
    INVALID_SPEC = "InvalidSpec"
    NOT_OWNED = "NotOwned"
    TRAINING_FAILED = "TrainingFailed"
    TRAINING_TIMEOUT = "TrainingTimeout"
    TRAINING_LOST = "TrainingLost"
    BELOW_BOUND = "BelowBound"
    REFUSED = "Refused"
    DIGEST_MISMATCH = "DigestMismatch"
    SIGNATURE_MISMATCH = "SignatureMismatch"
    GOLDEN_MISMATCH = "GoldenMismatch"
    ROLLOUT_TIMEOUT = "RolloutTimeout"
    API_REFUSED = "ApiRefused"
    # Something must come first
    SERVING_UNAVAILABLE = "ServingUnavailable"
    PREVIOUS_TERMINATING = "PreviousTerminating"
    # Parts of the life
    REGISTERED = "Registered"
    CHECKS_PASSED = "ChecksPassed"
    NOT_YET_CHECKED = "NotYetChecked"
    NOT_YET_SERVED = "NotYetServed"
    # What is watched
    MEASURED = "Measured"
    NOT_YET_MEASURED = "NotYetMeasured"
    NO_COLLECTOR = "NoCollector"
    REQUEST_LOG_OFF = "RequestLogOff"
    NO_REFERENCE = "NoReference"
    MEASUREMENT_FAILED = "MeasurementFailed"
    DRIFT = "Drift"
    NO_DRIFT = "NoDrift"
    INCONCLUSIVE = "Inconclusive"
    REQUESTS_INVALID = "RequestsInvalid"
    QUALITY_KEPT = "QualityKept"
    QUALITY_LOW = "QualityLow"
    QUALITY_UNKNOWN = "QualityUnknown"
    # What is proposed
    NOTHING_FOUND = "NothingFound"
    NOT_IMPLEMENTED = "NotImplemented"
    OBSERVE_ONLY = "ObserveOnly"
    EXPIRED = "Expired"
    SUPERSEDED = "Superseded"
    TARGET_NOT_FOUND = "TargetNotFound"


class ConditionType(Choice):
    """Ready, Reconciling and Stalled sum up (kstatus); the others tell one part each."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    AVAILABLE = "Available"
    DATA_VALID = "DataValid"
    TRAINED = "Trained"
    MONITORED = "Monitored"
    DRIFTED = "Drifted"
    QUALITY_OK = "QualityOk"
    DIAGNOSED = "Diagnosed"
