"""Publishers and consumers, a file for each broker; each needs its extra."""
