"""NETCONF server and client (RFC 6241, 6242): one server for emulated devices and virtual nodes alike."""
