"""Models of affinity, each fitted on measured pairs alone and served without torch."""
