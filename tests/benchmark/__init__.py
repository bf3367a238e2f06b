"""The benchmark: one command that measures every row of docs/performance.md side by side, on one machine, in one run.

    .venv/bin/python -m tests.benchmark        # the same as `make bench`

    catalogs      products at 1080 x 1440 as Parquet, under build/bench
    measured_rows the rows of the table: which job, engine and catalog
    submitted     one spark-submit from outside: its time, its event log, the memory of its Python workers
    event_log     when scoring began and ended, by Spark's own event log
    worker_site   what is put on the workers' PYTHONPATH: slow photos, and when a worker's first row left
    plain_job     the job that ours is compared with; plain_model is its model
    stages        seconds per stage, in one process
    ceiling       decode and engine alone, one process per core
    agreement     the same categories as the reference, whatever engine, batch size and order
    nights        a second night with few changes
    machine       what the figures depend on
    tables        what is printed

The jobs are measured through their command lines, so nothing in the library knows that it is measured.
"""
