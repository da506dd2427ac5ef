"""Structural alerts: which unwanted or misleading groups a molecule has, and where.

The patterns are RDKit's own, and so is every answer; a prescreen tells which are worth trying.
"""

from polyclinic.discovery.properties.alerts.find import (
    Alert,
    Alerts,
    alerts,
    alerts_of,
    qed_alerts,
)

__all__ = ["Alert", "Alerts", "alerts", "alerts_of", "qed_alerts"]
