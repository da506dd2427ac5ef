"""The one door: every service behind one address."""
