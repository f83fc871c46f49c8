"""The image file: what it holds, how it is written, read, trusted. Imports core and errors only."""
