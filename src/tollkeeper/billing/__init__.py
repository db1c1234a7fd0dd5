"""Pure: from quantities to money, and who pays it."""
