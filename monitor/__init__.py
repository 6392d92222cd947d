"""offmap's domain: from a stored turn to a ranked gap. Knows neither Kafka nor Dash."""

__version__ = "0.1.0"
