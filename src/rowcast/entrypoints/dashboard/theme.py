"""How the dashboard looks, and what it leaves undone: the options of Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streamlit import config

UPLOAD_MEGABYTES = 1024
"""Most that a page takes of a file, for it is held in memory; the command line and the API stream theirs."""

BLUE, ORANGE, SKY, PINK, OLIVE, GREY = "#0072B2", "#D55E00", "#56B4E9", "#CC79A7", "#8A8A00", "#767676"
SERIES = (BLUE, ORANGE, SKY, PINK, OLIVE, GREY)
"""Colours of Okabe and Ito, which the colour-blind can tell apart, readable on light and dark."""

_ALWAYS: Mapping[str, object] = MappingProxyType(
    {
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.showSidebarNavigation": True,
        "client.toolbarMode": "viewer",
        "global.suppressDeprecationWarnings": True,
        "logger.enableRich": False,
        "runner.magicEnabled": False,
        # It takes longer than most runs of the script, and holds up what they made; Python collects by itself.
        "runner.postScriptGC": False,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.fileWatcherType": "none",
        "server.headless": True,
        "server.enableStaticServing": False,
        "server.disconnectedSessionTTL": 120,
        "theme.chartCategoricalColors": list(SERIES),
        "theme.baseRadius": "medium",
        "theme.headingFontSizes": ["1.9rem", "1.5rem", "1.25rem", "1.1rem", "1rem", "0.9rem"],
        "theme.metricValueFontSize": "1.5rem",
        "theme.paddingTop": "1.5rem",
        "theme.showWidgetBorder": True,
        "theme.light.primaryColor": "#2456C7",
        "theme.light.backgroundColor": "#FFFFFF",
        "theme.light.secondaryBackgroundColor": "#F3F5F9",
        "theme.light.textColor": "#1A2230",
        "theme.light.linkColor": "#2456C7",
        "theme.light.borderColor": "#C3CCD6",
        "theme.dark.primaryColor": "#5B8DEF",
        "theme.dark.backgroundColor": "#12161D",
        "theme.dark.secondaryBackgroundColor": "#1B212B",
        "theme.dark.textColor": "#E8ECF3",
        "theme.dark.linkColor": "#8AB0FF",
        "theme.dark.borderColor": "#3A4655",
    }
)


def configure(upload_bytes: int) -> None:
    """Set Streamlit's options for this process: nothing is sent anywhere, no trace is shown, and ours are the colours.

    ``upload_bytes`` is the most that the server takes of a file.
    """
    for name, value in _ALWAYS.items():
        config.set_option(name, value)
    config.set_option("server.maxUploadSize", max(1, min(upload_bytes // 10**6, UPLOAD_MEGABYTES)))
