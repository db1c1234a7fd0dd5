"""Invoices and credit notes as people read them: HTML, PDF and letters, each in the customer's language."""
