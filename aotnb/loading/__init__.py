"""From an image to running code. Imports core, bridge, image and errors; knows nothing of building."""
