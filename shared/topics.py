"""The topics, by the words of the field."""

TRAINING_COMPLETED = "training-completed"
MODEL_UPLOADED = "model-uploaded"
ALERT_FIRED = "alert-fired"
SCHEDULE = "schedule"
ROLLOUT_DUE = "rollout-due"
ROLLOUT_CHANGED = "rollout-changed"
PREDICTION_LOGGED = "prediction-logged"
QUALITY_REPORTED = "quality-reported"
BUDGET_NOTIFIED = "budget-notified"
DEAD_LETTERS = "dead-letters"

ALL = (
    TRAINING_COMPLETED,
    MODEL_UPLOADED,
    ALERT_FIRED,
    SCHEDULE,
    ROLLOUT_DUE,
    ROLLOUT_CHANGED,
    PREDICTION_LOGGED,
    QUALITY_REPORTED,
    BUDGET_NOTIFIED,
    DEAD_LETTERS,
)
