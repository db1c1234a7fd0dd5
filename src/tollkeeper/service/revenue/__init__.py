"""What was earned, what will come again, and what this month may come to: from the lines of invoices, by currency."""
