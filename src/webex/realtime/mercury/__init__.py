"""The protocol of the Mercury socket: device registration, connection, frames, close codes, timers."""
