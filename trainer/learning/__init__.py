"""What every training by gradients has: light on pictures, its state, half the bits where they are native."""
