"""Where Flask-Chest has its chests: ``from tollkeeper.compat.flask_chest.chests import FlaskChestSQLite``."""

from __future__ import annotations

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.custom import FlaskChestCustomWriter
from tollkeeper.compat.flask_chest.influxdb import FlaskChestInfluxDB
from tollkeeper.compat.flask_chest.mysql import FlaskChestMySQL
from tollkeeper.compat.flask_chest.sqlite import FlaskChestSQLite

__all__ = ["FlaskChest", "FlaskChestCustomWriter", "FlaskChestInfluxDB", "FlaskChestMySQL", "FlaskChestSQLite"]
