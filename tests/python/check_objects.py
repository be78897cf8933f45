"""Checks buckets with moto, which answers as S3 does, and folders with WsgiDAV: check_objects.py LONGATTN PACKAGE

A corpus in a bucket or on a server with WebDAV gives what the same corpus in a folder gives, with more objects than one list holds,
and outputs arrive whole, those too that are sent in parts.
"""

import gzip
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import boto3
from cheroot.wsgi import Server
from moto.server import ThreadedMotoServer
from wsgidav.wsgidav_app import WsgiDAVApp

LONGATTN, PACKAGE = (str(Path(argument).resolve()) for argument in sys.argv[1:])
BUCKET = "corpora"
# One list of S3 holds 1000.
FILES = 1100
# More than is sent at once.
LONG = 70 << 20


def line(number):
    words = " ".join(f"word{number * 7919 * index % 997}" for index in range(60))
    return json.dumps({"id": f"d{number}", "text": words}) + "\n"


def write_corpus(folder):
    for number in range(FILES):
        path = folder / f"{number % 7}" / f"{number}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(line(number).encode(), mtime=0))
    record = json.loads(line(FILES)) | {"long": "x" * LONG}
    (folder / "long.json").write_text(json.dumps([record], indent=1))
    (folder / "_SUCCESS").touch()


def run(*arguments):
    command = [LONGATTN, "run", "--model", PACKAGE, "--window", "32", "--keep-fields", "--ratio", "1", "--max-per-document", "1"]
    subprocess.run([*command, "--quiet", *arguments], check=True, cwd=folder)


with tempfile.TemporaryDirectory(prefix="longattn-objects-") as folder:
    folder = Path(folder)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    write_corpus(folder / "corpus")
    for path in sorted((folder / "corpus").rglob("*")):
        if path.is_file():
            s3.upload_file(str(path), BUCKET, str(path.relative_to(folder)))

    run("corpus", "-o", "here")
    run(f"s3://{BUCKET}/corpus", "-o", "there", "--upload", f"s3://{BUCKET}/out")
    for name in ["scores.jsonl", "selected.jsonl"]:
        here, there = ((folder / result / name).read_bytes() for result in ["here", "there"])
        # Both say where documents stand.
        assert here == there.replace(f"s3://{BUCKET}/".encode(), b""), f"{name} of a folder and of a bucket differ"
        assert there == s3.get_object(Bucket=BUCKET, Key=f"out/{name}")["Body"].read(), f"{name} did not arrive whole"
    assert (folder / "here/selected.jsonl").stat().st_size > LONG
    first = {name: s3.head_object(Bucket=BUCKET, Key=f"out/{name}") for name in ["scores.jsonl", "selected.jsonl"]}
    assert "-" in first["selected.jsonl"]["ETag"], "it was to be sent in parts"

    run(f"s3://{BUCKET}/corpus/", "-o", "there", "--upload", f"s3://{BUCKET}/out", "--resume")
    for name, head in first.items():
        again = s3.head_object(Bucket=BUCKET, Key=f"out/{name}")
        assert again["LastModified"] == head["LastModified"], f"{name} was sent again"
    server.stop()

    app = WsgiDAVApp({
        "provider_mapping": {"/": str(folder)},
        "http_authenticator": {"domain_controller": None},
        "simple_dc": {"user_mapping": {"*": {"reader": {"password": "pa55word"}}}},
        "logging": {"enable": False},
        "verbose": 0,
    })
    server = Server(("127.0.0.1", 0), app)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    (folder / "out").mkdir()
    host = f"127.0.0.1:{server.bind_addr[1]}"
    run(f"http://reader:pa55word@{host}/corpus/", "-o", "dav")
    for name in ["scores.jsonl", "selected.jsonl"]:
        here, there = ((folder / result / name).read_bytes() for result in ["here", "dav"])
        assert here == there.replace(f"http://{host}/".encode(), b""), f"{name} of a folder and of WebDAV differ"
    server.stop()
print(f"{FILES + 1} objects gave what as many files gave, and outputs arrived")
