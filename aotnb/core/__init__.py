"""The pure model: methods, roots, edges, digests. Standard library only."""
