"""One test file per script of lua/, on a real server; `scene.py` is the language they are written in."""
