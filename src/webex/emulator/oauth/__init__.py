"""Signing in to the emulated cloud: authorize page, tokens, device grant, guests and service apps, OpenID Connect.

Each file adds its own routes; `webex.emulator.app` names them.
"""
