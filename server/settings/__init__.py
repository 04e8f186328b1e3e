"""The settings of a server."""

from server.settings.table import Settings, setting_rows
from server.settings.values import Address, SettingInvalid

__all__ = ["Address", "SettingInvalid", "Settings", "setting_rows"]
