"""What devices reach at best: the table that ships with archc, and tables of one's own."""

from archc.hardware.devices import device_names, find_device

__all__ = ["device_names", "find_device"]
