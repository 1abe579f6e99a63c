"""What flows through the program: transitions, their columns, and the codec between them and generator rows."""
