"""What people look at in a browser: the files of the pages, and how clients are connected."""
