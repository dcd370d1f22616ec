"""What Streamlit runs anew whenever something changes on a page."""

from rowcast.entrypoints.dashboard.frame import run

run()
