"""Networks back into specs: models of other libraries as somebody would have written them."""
