"""A batch of rows to a batch of scores, with no Spark, and the pandas UDF around that."""
