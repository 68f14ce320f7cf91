"""The demo: a local Webex cloud and a small web app that signs people in to it. `webex demo` starts both."""
