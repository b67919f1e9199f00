"""`python -m refit.report`: makes the report that the environment orders."""

from __future__ import annotations

import os
import sys

from refit.report.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(os.environ))
