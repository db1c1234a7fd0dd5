"""Invoices: drafted from what was used and agreed, made final with a number, paid, voided and given back."""
