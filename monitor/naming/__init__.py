"""A model of somebody's endpoint names topics, where the settings name one. What is found here stays beside it."""
