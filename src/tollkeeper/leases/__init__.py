"""Use up blocks of quota that a process took from the service, and write down what it used."""
