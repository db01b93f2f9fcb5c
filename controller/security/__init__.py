"""Who is who: certificates, SSH keys, mutual TLS."""
