"""What the system tests are made of. Python's standard library, and Debian's python3-yaml and python3-jsonschema."""
