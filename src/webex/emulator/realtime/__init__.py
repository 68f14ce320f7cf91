"""Device registration (WDM), the Mercury websocket and the key service of the emulated cloud."""
