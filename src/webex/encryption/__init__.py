"""Encrypt and decrypt with the key service (KMS): JOSE, the KMS channel, content keys, activities, files."""
