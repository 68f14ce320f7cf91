"""The console: the emulator's own page, which shows the cloud live and lets a developer change it."""
