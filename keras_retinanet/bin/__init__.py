"""The commands: parse options, call the stages, print."""
