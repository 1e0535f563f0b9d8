"""The work of a training's child process, from an order to a model package.

Only the description of the order (``spec``) does without torch.
"""
