"""The Ray Serve application that runs a plan."""
