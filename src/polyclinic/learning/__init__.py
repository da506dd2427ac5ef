"""The five steps, free of any department: prepare, build, train, evaluate, serve; and trust."""
