"""Decide inside somebody's app which calls may be made, on leases of quota."""
