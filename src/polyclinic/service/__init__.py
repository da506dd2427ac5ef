"""One small web app per department, and the gateway before them."""
