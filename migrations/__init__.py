"""The numbered SQL migrations, never edited once released; `storage.migrate` applies them."""
