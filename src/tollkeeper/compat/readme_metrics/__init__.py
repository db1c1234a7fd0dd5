"""What ``readme_metrics`` offers, under its names: requests of a Flask app as logs of ReadMe Metrics."""

from tollkeeper.compat.readme_metrics.config import MetricsApiConfig
from tollkeeper.compat.readme_metrics.flask_readme import ReadMeMetrics
from tollkeeper.compat.readme_metrics.webhook import VerifyWebhook

__all__ = ["MetricsApiConfig", "ReadMeMetrics", "VerifyWebhook"]
