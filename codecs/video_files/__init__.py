"""Video files: frames as planes, read from and written to files, folders and pipes."""
