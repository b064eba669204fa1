"""The PWM of `machine`; machine.py loads this when it is asked for."""

import machine


class PWM:
    def __init__(self, pin, *, freq=5000, duty_u16=32768):
        if not isinstance(pin, machine.Pin):
            raise TypeError("expecting a Pin")
        if not 1 <= freq <= 40000000:
            raise ValueError("invalid freq")
        self._number = pin.number
        self._freq = freq
        self._duty = None
        self.duty_u16(duty_u16)

    def freq(self, *value):
        if not value:
            return self._freq
        self._freq = value[0]
        return None

    def duty_u16(self, *value):
        if not value:
            return self._duty
        if not 0 <= value[0] <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        if value[0] != self._duty:
            self._duty = value[0]
            print("pin %d: %.1f %% at %d Hz" % (self._number, self._duty / 655.35, self._freq))
        return None

    def duty_ns(self, *value):
        period = 1000000000 // self._freq
        if not value:
            return self._duty * period // 65535
        return self.duty_u16(value[0] * 65535 // period)

    def deinit(self):
        print("pin %d: no PWM" % self._number)
