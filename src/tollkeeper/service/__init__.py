"""The verbs of the product, one module each; bootstrap wires them."""
