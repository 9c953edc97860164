"""What the product promises in figures, measured. Every figure comes with what it is compared to, in the same run."""
