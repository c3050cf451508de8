"""A Ray cluster on this machine, for as long as one plan is served from it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from boute.deployments.environment import serve_environment
from boute.deployments.options import ServingOptions
from boute.errors import ServingError

__all__ = ["local_cluster"]


@contextlib.contextmanager
def local_cluster(options: ServingOptions) -> Iterator[str]:
    """Start Ray; give the address of its dashboard, and end it on the way out.

    Its processes take their environment from this one, so the variables are set before Ray is
    imported and put back when it has ended.
    """
    kept = dict(os.environ)
    os.environ.update(serve_environment(options))
    try:
        import ray

        try:
            context = ray.init(
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ServingError(f"Ray does not start: {error}") from None
        try:
            yield f"http://{context.dashboard_url}"
        finally:
            ray.shutdown()
    finally:
        os.environ.clear()
        os.environ.update(kept)
