"""The only SQL database of the product: tables, migrations, and what is read from and written to them."""
