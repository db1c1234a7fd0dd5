"""Charges, invoices and events as files: rows made page by page, written as CSV, JSON lines or Parquet."""
