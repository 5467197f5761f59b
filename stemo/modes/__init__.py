"""What the command line offers over the pipeline: one file per mode."""
