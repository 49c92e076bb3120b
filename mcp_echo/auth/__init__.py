"""Who is calling, as far as proxies and tokens say it. No I/O."""
