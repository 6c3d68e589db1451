"""TUF repositories made by python-tuf, right and wrong, for `xtask interop tuf`.

    repositories.py serve FOLDER TRUSTED_ROOT SIGNING_CONFIG
        makes one repository for each scenario below FOLDER, each with the root that a client begins
        with beside it (SCENARIO.root.json), serves them on a free port of 127.0.0.1, and writes the
        URL to FOLDER/url. A repository with two stages answers from the one that FOLDER/SCENARIO.stage
        names.
    repositories.py judge URL ROOT FOLDER
        lets python-tuf's own client refresh and fetch, keeping its state in FOLDER: exit code 0 if
        it is satisfied, 1 if it refuses.
"""

import datetime
import json
import os
import sys

import loopback
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

TARGETS = ["trusted_root.json", "signing_config.v0.2.json"]
MAKERS = {
    "ecdsa": CryptoSigner.generate_ecdsa,
    "ed25519": CryptoSigner.generate_ed25519,
    "rsa": CryptoSigner.generate_rsa,
}


class Repository:
    """One repository: three people for root and targets, two of whom must sign, and a machine."""

    def __init__(self, content, kind="ecdsa"):
        make = MAKERS[kind]
        self.content = content
        self.people = [make() for _ in range(3)]
        self.machine = make()
        self.signers = None
        self.versions = {"targets": 1, "snapshot": 1, "timestamp": 1}
        self.days = {}
        self.sent = {}
        self.files = {}
        self.roots = []
        self.add_root(self.people)

    def expires(self, role):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        return now + datetime.timedelta(days=self.days.get(role, 30))

    def add_root(self, signers):
        root = Root(version=len(self.roots) + 1, expires=self.expires("root"))
        for role in ("root", "targets"):
            for person in self.people:
                root.add_key(person.public_key, role)
            root.roles[role].threshold = 2
        for role in ("snapshot", "timestamp"):
            root.add_key(self.machine.public_key, role)
        metadata = Metadata(root)
        for signer in signers:
            metadata.sign(signer, append=True)
        self.roots.append(metadata)

    def publish(self):
        """Signs everything anew; gives the files by their path."""
        files = {}
        for metadata in self.roots:
            files[f"{metadata.signed.version}.root.json"] = metadata.to_bytes()
        targets = Targets(version=self.versions["targets"], expires=self.expires("targets"))
        for name, data in self.content.items():
            file = TargetFile.from_data(name, data, ["sha256"])
            targets.targets[name] = file
            files[f"targets/{file.hashes['sha256']}.{name}"] = self.sent.get(name, data)
        targets = self.sign(targets, self.signers or self.people)
        files[f"{self.versions['targets']}.targets.json"] = targets
        snapshot = Snapshot(version=self.versions["snapshot"], expires=self.expires("snapshot"))
        pin = MetaFile.from_data(self.versions["targets"], targets, ["sha256"])
        snapshot.meta["targets.json"] = pin
        snapshot = self.sign(snapshot, [self.machine])
        files[f"{self.versions['snapshot']}.snapshot.json"] = snapshot
        timestamp = Timestamp(version=self.versions["timestamp"], expires=self.expires("timestamp"))
        timestamp.snapshot_meta = MetaFile.from_data(self.versions["snapshot"], snapshot, ["sha256"])
        files["timestamp.json"] = self.sign(timestamp, [self.machine])
        return files

    @staticmethod
    def sign(signed, signers):
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def first_root(self):
        return self.roots[0].to_bytes()


def twice(document):
    """The same signature a second time, which python-tuf itself would not write."""
    metadata = json.loads(document)
    metadata["signatures"] = [metadata["signatures"][0]] * 2
    return json.dumps(metadata).encode()


def scenarios(content):
    """Each scenario's first root, and its files in one stage or two."""
    for kind in MAKERS:
        good = Repository(content, kind)
        yield f"good-{kind}", good.first_root(), [good.publish()]

    rotated = Repository(content)
    old = rotated.people
    rotated.people = [old[2], *(CryptoSigner.generate_ecdsa() for _ in range(2))]
    rotated.machine = CryptoSigner.generate_ecdsa()
    rotated.add_root(old + rotated.people[1:])
    rotated.add_root(rotated.people)
    yield "rotated", rotated.first_root(), [rotated.publish()]

    usurped = Repository(content)
    old = usurped.people
    usurped.people = [CryptoSigner.generate_ecdsa() for _ in range(3)]
    usurped.add_root(old[:1] + usurped.people)
    yield "usurped", usurped.first_root(), [usurped.publish()]

    for role in ("timestamp", "snapshot", "targets"):
        back = Repository(content)
        back.versions = {"targets": 3, "snapshot": 3, "timestamp": 3}
        before = back.publish()
        later = {"timestamp": (3, 3, 2), "snapshot": (3, 2, 4), "targets": (2, 4, 4)}[role]
        back.versions = dict(zip(("targets", "snapshot", "timestamp"), later, strict=True))
        yield f"rollback-{role}", back.first_root(), [before, back.publish()]

    for role in ("root", "timestamp", "snapshot", "targets"):
        expired = Repository(content)
        expired.days = {role: -1}
        expired.roots = []
        expired.add_root(expired.people)
        yield f"expired-{role}", expired.first_root(), [expired.publish()]

    name, data = next(iter(content.items()))
    for scenario, sent in (("wrong-hash", data[:-1] + b"#"), ("wrong-length", data + b"\n")):
        wrong = Repository(content)
        wrong.sent = {name: sent}
        yield scenario, wrong.first_root(), [wrong.publish()]

    few = Repository(content)
    few.signers = few.people[:1]
    yield "threshold", few.first_root(), [few.publish()]

    # Pinned by version alone, so that only the signatures are wrong.
    duplicate = Repository(content)
    files = duplicate.publish()
    files["1.targets.json"] = twice(files["1.targets.json"])
    snapshot = Snapshot(version=1, expires=duplicate.expires("snapshot"))
    snapshot.meta["targets.json"] = MetaFile(1)
    files["1.snapshot.json"] = duplicate.sign(snapshot, [duplicate.machine])
    timestamp = Timestamp(version=1, expires=duplicate.expires("timestamp"))
    timestamp.snapshot_meta = MetaFile(1)
    files["timestamp.json"] = duplicate.sign(timestamp, [duplicate.machine])
    yield "duplicate-signature", duplicate.first_root(), [files]

    for path in ("2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"):
        endless = Repository(content)
        files = endless.publish()
        files[path] = None
        yield f"endless-{path.split('.')[-2]}", endless.first_root(), [files]


def serve(folder, *paths):
    content = {}
    for name, path in zip(TARGETS, paths, strict=True):
        with open(path, "rb") as file:
            content[name] = file.read()
    served = {}
    for scenario, root, stages in scenarios(content):
        with open(os.path.join(folder, f"{scenario}.root.json"), "wb") as file:
            file.write(root)
        served[scenario] = stages

    class Handler(loopback.Handler):
        def do_GET(self):
            scenario, _, path = self.path.lstrip("/").partition("/")
            stages = served.get(scenario, [{}])
            stage = 1 if os.path.exists(os.path.join(folder, f"{scenario}.stage")) else 0
            files = stages[min(stage, len(stages) - 1)]
            if path not in files:
                self.send_error(404)
                return
            self.send_response(200)
            body = files[path]
            if body is not None:
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" " * 65536)
            except OSError:
                pass

    loopback.serve(Handler, folder)


def judge(url, root, folder):
    from tuf.ngclient import Updater, UpdaterConfig

    with open(root, "rb") as file:
        bootstrap = file.read()
    targets = os.path.join(folder, "targets")
    os.makedirs(targets, exist_ok=True)
    config = UpdaterConfig(prefix_targets_with_hash=True)
    try:
        updater = Updater(
            metadata_dir=folder,
            metadata_base_url=url,
            target_base_url=f"{url}/targets",
            target_dir=targets,
            config=config,
            bootstrap=bootstrap,
        )
        updater.refresh()
        for name in TARGETS:
            updater.download_target(updater.get_targetinfo(name))
    except Exception as error:  # whatever it is, it is no
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    {"serve": serve, "judge": judge}[sys.argv[1]](*sys.argv[2:])
