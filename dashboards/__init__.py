"""The dashboard over a store: reads only, and is the one package that imports Dash (the app comes with the next issue)."""
