"""The REST API of the emulated cloud: one file a service, over one state."""
