"""Sessions that several processes share: what keeps them one, whichever process works on them."""
