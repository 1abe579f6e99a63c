"""The signal as an engineer reads it: stages, the transitions between them, and the bounds on both."""
