"""The commands: one file for each, with its arguments, its session and its output.

`fashion-udf COMMAND` runs a command of the installed package, `spark-submit jobs/*.py` one of the repository.
"""
