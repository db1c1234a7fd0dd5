"""What if: the traffic that was there under a plan, or prices, that nobody has been told of yet; nothing is written."""
