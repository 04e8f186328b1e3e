"""The settings of a server."""

from server.settings.table import Settings, setting_rows
from server.settings.values import Address, SettingInvalid, UnixAddress

__all__ = ["Address", "SettingInvalid", "Settings", "UnixAddress", "setting_rows"]
