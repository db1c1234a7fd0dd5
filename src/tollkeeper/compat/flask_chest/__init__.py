"""The names of Flask-Chest: after a view has run, variables of ``g`` are written to any number of chests."""

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.custom import FlaskChestCustomWriter
from tollkeeper.compat.flask_chest.decorator import flask_chest
from tollkeeper.compat.flask_chest.influxdb import FlaskChestInfluxDB
from tollkeeper.compat.flask_chest.mysql import FlaskChestMySQL
from tollkeeper.compat.flask_chest.prometheus import FlaskChestPrometheus
from tollkeeper.compat.flask_chest.sqlite import FlaskChestSQLite

__all__ = [
    "FlaskChest",
    "FlaskChestCustomWriter",
    "FlaskChestInfluxDB",
    "FlaskChestMySQL",
    "FlaskChestPrometheus",
    "FlaskChestSQLite",
    "flask_chest",
]
