"""Rules of HTTP, without any I/O: what clients accept, origins, CORS, header fields."""
