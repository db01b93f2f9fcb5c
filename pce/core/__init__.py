"""Compiled kernels: arrays in, arrays or codes out; linear units; no exceptions for control flow."""
