"""Real servers as children of the tests: started when a test first asks for one, ended with the tests."""
