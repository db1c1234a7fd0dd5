"""What is gone of the limits of subscriptions, and who holds some of it."""
