"""Fine-tuning sets: a slice of the traffic, filtered, redacted, and written with a manifest."""
