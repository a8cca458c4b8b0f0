"""The door for programs, which `import splitbed` opens; the command line calls the same."""
