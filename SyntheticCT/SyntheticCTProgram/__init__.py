"""The command line: options in, files out; above both libraries, a file a command.

Offers: program (main, and the list of commands).
May use: everything but the modules of Slicer's window.
"""
