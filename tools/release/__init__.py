"""Makes a release: what is built, self-contained in `dist/`, and the changelog's section."""
