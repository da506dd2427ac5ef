"""The five steps for records: prepare, build, train, evaluate, serve; `run` walks them."""
