"""OAuth of a trace: what it protects, its tiny authorization server, and the judgement of tokens. No I/O.

The server is written here and not taken from a library. oauthlib 4.0 was tried and Authlib 1.9 read: neither
knows ``resource`` (RFC 8707), neither lets work be done again on a copy of its state where another node was
faster, and oauthlib says of a wrong verifier and of a spent code "invalid_grant" alone, which is what people
come here with. PyJWT and cryptography do what has to do with keys and signatures.
"""
