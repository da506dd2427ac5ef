"""The five steps for pictures: prepare, build, train, evaluate, serve; `run` walks them."""
