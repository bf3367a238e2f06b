"""HDFS and YARN in one Java process: a name node, a data node, a resource manager and two node managers.

Fixtures, imported where a test needs them:

    hdfs     an `Hdfs`: `hdfs.uri` is `hdfs://127.0.0.1:PORT`, `hdfs.new_folder()` an empty folder of its own
    yarn     a `Yarn`, with HDFS behind it
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import jars

#: One log for the whole process; what it says of a failed start is shown.
LOG = Path("build") / "hadoop.log"
#: What the Hadoop classes need of Spark's own jars; two loggers would be one too many.
FROM_SPARK = ("hadoop-client-*", "py4j-*", "slf4j-api-*", "jcl-over-slf4j-*", "log4j-*", "snappy-java-*")
#: Settings that clients of the servers need.
FOR_CLIENTS = (
    "fs.defaultFS",
    "dfs.replication",
    "yarn.resourcemanager.address",
    "yarn.resourcemanager.scheduler.address",
    "yarn.resourcemanager.webapp.address",
)
_NUMBERS = itertools.count(1)


@dataclass
class Process:
    """The Java process of the servers, and its classes by name."""

    jvm: Any
    home: Path
    #: What the servers know of each other, and clients need: core-site.xml, hdfs-site.xml and yarn-site.xml in one.
    configuration: Any

    def write_configuration(self) -> Path:
        """Write what HADOOP_CONF_DIR is to name, and return that folder.

        Only what clients ask for: the servers' own settings name classes that no client has.
        """
        folder = self.home / "conf"
        folder.mkdir(exist_ok=True)
        properties = "".join(
            f"<property><name>{key}</name><value>{value}</value></property>\n"
            for key in FOR_CLIENTS
            if (value := self.configuration.get(key)) is not None
        )
        # Hadoop reads each of its files for the classes of that part.
        for name in ("core-site.xml", "hdfs-site.xml", "yarn-site.xml"):
            (folder / name).write_text(f"<configuration>\n{properties}</configuration>\n")
        return folder


@dataclass
class Hdfs:
    """A running HDFS."""

    process: Process
    uri: str
    #: What a client's HADOOP_CONF_DIR names.
    conf_dir: Path

    def new_folder(self) -> str:
        """Return the URI of a folder that no test has used."""
        return f"{self.uri}/tests/{next(_NUMBERS)}"

    def put(self, local: Path, uri: str) -> None:
        """Copy a local file or folder."""
        files = self._files()
        path = self.process.jvm.org.apache.hadoop.fs.Path
        files.copyFromLocalFile(False, True, path(local.as_uri()), path(uri))

    def get(self, uri: str, local: Path) -> None:
        """Copy a file or folder to a local place that does not exist yet."""
        path = self.process.jvm.org.apache.hadoop.fs.Path
        self._files().copyToLocalFile(False, path(uri), path(local.as_uri()), True)

    def names(self, uri: str) -> list[str]:
        """Return the names in a folder, sorted; none if it does not exist."""
        files, path = self._files(), self.process.jvm.org.apache.hadoop.fs.Path(uri)
        return sorted(one.getPath().getName() for one in files.listStatus(path)) if files.exists(path) else []

    def _files(self) -> Any:
        uri = self.process.jvm.java.net.URI(self.uri)
        return self.process.jvm.org.apache.hadoop.fs.FileSystem.get(uri, self.process.configuration)


@dataclass
class Yarn:
    """A running YARN with two node managers, each of 4 GB and 2 cores."""

    hdfs: Hdfs
    cluster: Any
    conf_dir: Path

    def environment(self) -> dict[str, str]:
        """What a user's shell holds for spark-submit."""
        return {"HADOOP_CONF_DIR": str(self.conf_dir), "JAVA_HOME": str(jars.java_home())}

    def node_managers(self) -> dict[str, Any]:
        """Return the node managers by their ids."""
        found = [self.cluster.getNodeManager(index) for index in range(2)]
        return {one.getNMContext().getNodeId().toString(): one for one in found}

    def node_of_the_driver_or_master(self) -> str:
        """Return the id of the node whose container the newest application cannot do without."""
        applications = self.cluster.getResourceManager().getRMContext().getRMApps()
        newest = max(applications.keySet(), key=lambda one: one.getId())
        return str(applications.get(newest).getCurrentAppAttempt().getMasterContainer().getNodeId().toString())

    def last_words(self) -> str:
        """Return the end of what each container wrote."""
        logs = sorted((self.hdfs.process.home / "test.build.data").glob("**/container_*/std*"))
        return "\n".join(
            f"--- {path.parent.name}/{path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in logs
        )


def _classpath() -> list[str]:
    """Return Hadoop's jars, and before them its web pages: out of the jar each server would unpack them anew."""
    hadoop = jars.needed("hadoop")
    import pyspark

    spark = Path(pyspark.__file__).parent / "jars"
    return [*map(str, hadoop), *(str(one) for name in FROM_SPARK for one in sorted(spark.glob(f"{name}.jar")))]


@pytest.fixture(scope="session")
def hadoop_process() -> Iterator[Process]:
    """A Java process that ends with this one, whatever ends it: it reads its standard input to the end."""
    classpath = _classpath()
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

    home = Path(tempfile.mkdtemp(prefix="hadoop-"))
    LOG.parent.mkdir(exist_ok=True)
    (home / "tmp").mkdir()
    options = [
        *("-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=INFO"),
        *(f"-D{name}={home}/{name}" for name in ("test.build.data", "hadoop.log.dir", "yarn.log.dir")),
        f"-Djava.io.tmpdir={home}/tmp",
        # Without Hadoop's native library a process is started for the mode of each of the archive's 10,000 files.
        "-Djdk.lang.Process.launchMechanism=VFORK",
    ]
    with LOG.open("w") as log:
        port, token, java = launch_gateway(
            classpath=os.pathsep.join(classpath),
            javaopts=options,
            java_path=str(jars.java_home() / "bin" / "java"),
            die_on_exit=True,
            enable_auth=True,
            return_proc=True,
            redirect_stdout=log,
            redirect_stderr=log,
            cwd=str(home),
        )
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True))
        try:
            yield Process(gateway.jvm, home, gateway.jvm.org.apache.hadoop.conf.Configuration())
        finally:
            gateway.close()
            java.kill()  # nothing in it outlives the session: an orderly end takes seconds
            java.wait()
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def hdfs(hadoop_process: Process) -> Hdfs:
    """HDFS with one name node and one data node, on free ports."""
    jvm, configuration = hadoop_process.jvm, hadoop_process.configuration
    for key, value in {
        "hdfs.minidfs.basedir": str(hadoop_process.home / "dfs"),
        "dfs.replication": "1",
        "dfs.permissions.enabled": "false",
        # The names that clients are given must be those that they can reach.
        "dfs.client.use.datanode.hostname": "false",
    }.items():
        configuration.set(key, value)
    cluster = jvm.org.apache.hadoop.hdfs.MiniDFSCluster.Builder(configuration).numDataNodes(1).build()
    cluster.waitActive()
    uri = cluster.getURI().toString()
    configuration.set("fs.defaultFS", uri)
    return Hdfs(hadoop_process, uri, hadoop_process.write_configuration())


@pytest.fixture(scope="session")
def yarn(hdfs: Hdfs) -> Yarn:
    """YARN with a resource manager and two node managers, on free ports."""
    process = hdfs.process
    jvm, configuration = process.jvm, process.jvm.org.apache.hadoop.yarn.conf.YarnConfiguration(process.configuration)
    scheduler = "org.apache.hadoop.yarn.server.resourcemanager.scheduler.fifo.FifoScheduler"
    for key, value in {
        "yarn.resourcemanager.scheduler.class": scheduler,
        "yarn.nodemanager.resource.memory-mb": "4096",
        "yarn.nodemanager.resource.cpu-vcores": "2",
        "yarn.scheduler.minimum-allocation-mb": "256",
        # A laptop's disk is fuller than that, and its programs reserve more virtual memory.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.9",
        "yarn.nodemanager.vmem-check-enabled": "false",
        # What a failed container wrote is read by the test.
        "yarn.nodemanager.delete.debug-delay-sec": "3600",
    }.items():
        configuration.set(key, value)
    cluster = jvm.org.apache.hadoop.yarn.server.MiniYARNCluster("tests", 2, 1, 1)
    cluster.init(configuration)
    cluster.start()
    if not cluster.waitForNodeManagersToConnect(60_000):
        pytest.fail(f"Expected two node managers. Received: fewer after 60 s; see {LOG}.")
    process.configuration = cluster.getConfig()
    return Yarn(hdfs, cluster, process.write_configuration())
