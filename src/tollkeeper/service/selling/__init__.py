"""What the owner of an API writes down about money: meters, prices of plans and of subscriptions, credits, taxes."""
