"""Finding memories: the filter grammar, the word search, the vector search, and the order of what was found."""
