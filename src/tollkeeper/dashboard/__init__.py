"""HTTP in, HTML out: the pages that a person looks at."""
