"""Score batches of rows, without Spark, and the pandas UDF that uses this."""
