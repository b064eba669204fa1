#!/bin/sh
# What websocketd starts for each client: it greets, then gives back line by line.
echo welcome
exec cat
