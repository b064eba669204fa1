"""Stands in for the driver of DS18B20 on a 1-Wire bus: two are on it."""

import onewire

_SENSORS = {b"\x28\x00\x00\x00\x00\x00\x00\x01": 19.0625, b"\x28\x00\x00\x00\x00\x00\x00\x02": 4.5}


class DS18X20:
    def __init__(self, wire):
        if not isinstance(wire, onewire.OneWire):
            raise TypeError("expecting a OneWire")
        self._is_converted = False

    def scan(self):
        return [bytearray(sensor) for sensor in sorted(_SENSORS)]

    def convert_temp(self):
        self._is_converted = True

    def read_temp(self, sensor):
        return _SENSORS[bytes(sensor)] if self._is_converted else 85.0
