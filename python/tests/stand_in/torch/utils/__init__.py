"""As in PyTorch, the package of `data`."""
