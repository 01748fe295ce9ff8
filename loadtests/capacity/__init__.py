"""How much a server carries: the load is stepped up until a goal breaks, and a model is made of what was measured."""
