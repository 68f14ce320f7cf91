"""What the SDK tells of itself."""
