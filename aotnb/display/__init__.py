"""What people see: reports with a text and an HTML face, and progress. Imports reports; never IPython."""
