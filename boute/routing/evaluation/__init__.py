"""How good a router is, by statistics that need arrays only: splits, curves, calibration, drift."""
