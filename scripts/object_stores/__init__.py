"""What check_object_stores.py is made of: a proxy that fails, and servers that do not."""
