"""The pytest plugin: a local Webex cloud as a fixture."""
