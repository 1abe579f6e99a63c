"""REDQ-SAC for actions of numbers and one choice, such as how long a green lasts and which stage it is."""
