"""One command to a file. A command holds no logic: it parses, calls the library and prints."""
