"""What a treatment does to whom: effects of several arms, and the worth of choosing by them."""
