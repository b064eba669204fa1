"""A servo at GPIO 27: send "90" to turn it to 90 degrees."""

import machine

from firmware import board

servo = machine.PWM(machine.Pin(27), freq=50, duty_u16=0)


def turn(degrees):
    microseconds = 500 + degrees * 2000 // 180
    servo.duty_u16(microseconds * 65535 // 20000)  # of the 20 ms of each pulse
    board.send("angle", degrees)


def on_message(message, client):
    if not message.isdigit() or int(message) > 180:
        return "a number from 0 to 180, please"
    turn(int(message))
