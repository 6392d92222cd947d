"""Pages: each answers one question of one person. A page has a path, a title, a layout, and callbacks of a few lines."""
