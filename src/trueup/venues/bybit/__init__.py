"""Bybit v5 (unified account): REST rows, stream messages and the adapter."""
