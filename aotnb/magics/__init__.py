"""The magics: thin adapters of the public calls. The only package that imports IPython."""
