"""The script that Streamlit runs for every visit; all of it is in `frame`, which is loaded once."""

from __future__ import annotations

from refit_ui.frame import draw

draw()
