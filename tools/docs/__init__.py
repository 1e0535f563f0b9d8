"""Makes the reference documents from the code: ``make docs`` writes them, a test compares them."""
