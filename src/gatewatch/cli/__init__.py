"""The command line. One file per command under `commands`: parse, call the library, print."""
