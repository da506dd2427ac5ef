"""Recommending items to users from what others chose and scored; nothing here knows medicine."""
