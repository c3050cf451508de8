"""Writes a plan as files for others to run: Ray Serve, KubeRay, Docker Compose, and dashboards.

Nothing is deployed here, and nothing is read but the plan and the files that it names.
"""
