"""What ``flask_api_usage`` offers, under its name: each request of a Flask app as a document in MongoDB."""

from tollkeeper.compat.flask_api_usage.usage import Usage

__all__ = ["Usage"]
