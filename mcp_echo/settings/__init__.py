"""The settings: from options, environment variables and defaults to one frozen object. No I/O."""
