"""From recorded code instances to an image. Imports core, bridge, image and trace."""
