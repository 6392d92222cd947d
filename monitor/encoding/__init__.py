"""Texts to unit vectors: what of a turn is encoded (`recipe`), by which model (`encoder`), each text once (`cache`)."""
