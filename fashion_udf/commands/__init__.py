"""What people run: one file for each command, with its arguments, its session and what it prints.

`fashion-udf COMMAND` runs them from an installed wheel, `jobs/*.py` by spark-submit.
"""
