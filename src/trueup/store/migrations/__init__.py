"""Alembic's migrations of the book, packaged with the program. `trueup.store.migrate` runs them."""
