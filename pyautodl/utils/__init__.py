"""PyTorch's path to the data tools."""
