"""Binance USDⓈ-M futures: REST rows, stream messages and the adapter."""
