"""The discovery department: molecules and targets in, properties, neighbours and designs out."""
