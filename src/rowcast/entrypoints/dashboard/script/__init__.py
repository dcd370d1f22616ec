"""What Streamlit runs, in a folder of its own: it would take others beside it for further pages."""
