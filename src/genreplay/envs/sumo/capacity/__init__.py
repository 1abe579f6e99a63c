"""How many vehicles a signal plan carries: capacity, delay and degree of saturation by movement, in closed form."""
