"""Runs an example that does the whole job, in whatever language, beside the command: the results have the same bytes.

    run_test.py LONGATTN PACKAGE TEXT_FILE... -- RUN...

RUN is the example and what comes before its arguments, PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SPLIT = sys.argv.index("--")
LONGATTN, PACKAGE = sys.argv[1:3]
TEXTS = [path.read_text() for path in map(Path, sys.argv[3:SPLIT])]
RUN = sys.argv[SPLIT + 1:]
WINDOW = "256"
PATIENCE = 120
RESULTS = ["selected.jsonl", "scores.jsonl", "rejects.jsonl"]

# A shell has what it starts in the background ignore interrupts, and all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.corpus = self.folder / "corpus"
        self.corpus.mkdir()

    def write_corpus(self, rounds):
        """Two files of documents, one with records that cannot be used, and one that is no gzip."""
        for name in ("a.jsonl", "b.jsonl"):
            lines = [json.dumps({"id": f"{name} {number}", "category": name if number % 3 else "thirds",
                                 "text": TEXTS[number % len(TEXTS)]}) for number in range(rounds * len(TEXTS))]
            if name == "b.jsonl":
                lines[1:1] = ["no object", '{"id": "no text"}', '{"id": 5, "text": "short"}', lines[0], '{"text": 7}']
            (self.corpus / name).write_text("\n".join(lines) + "\n")
        (self.corpus / "broken.jsonl.gz").write_bytes(b"no gzip")

    def run_here(self, result, *settings, window=WINDOW):
        done = subprocess.run([*RUN, PACKAGE, str(self.folder / result), "--window", window, *settings, str(self.corpus)],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def run_command(self, result, *flags, window=WINDOW):
        done = subprocess.run([LONGATTN, "run", "--quiet", "--model", PACKAGE, "--window", window, *flags, str(self.corpus),
                               "-o", str(self.folder / result)], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)

    def assert_same(self, one, other):
        for name in RESULTS:
            found, expected = ((self.folder / result / name).read_bytes() for result in (one, other))
            self.assertGreater(len(expected), 0)
            self.assertEqual(found, expected, name)

    def test_the_results_are_those_of_the_command(self):
        self.write_corpus(2)
        done = self.run_here("here", "--ratio", "0.3")
        self.run_command("command", "--ratio", "0.3")
        self.assert_same("here", "command")
        self.assertIn("thirds: ", done.stdout)
        self.assertEqual(done.stderr.count("rejected: "), 5)

    def test_adaptive_results_are_those_of_the_command(self):
        self.write_corpus(1)
        settings = ["--rows", "320", "--count", "5", "--confidence", "0.9"]
        self.run_here("here", "--adaptive", "true", *settings, window="2048")
        self.run_command("command", "--adaptive", *settings, window="2048")
        self.assert_same("here", "command")

    def test_an_interrupt_ends_the_work_and_it_goes_on(self):
        self.write_corpus(3)
        process = subprocess.Popen([*RUN, PACKAGE, str(self.folder / "here"), "--window", WINDOW, str(self.corpus)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        journal = self.folder / "here" / "journal.jsonl"
        deadline = time.monotonic() + PATIENCE
        while not journal.exists() or journal.stat().st_size < 20_000:
            self.assertIsNone(process.poll(), "it ended before it was interrupted")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        self.assertNotEqual(process.wait(PATIENCE), 0)
        self.assertLess(time.monotonic() - interrupted, 2)
        self.assertFalse((self.folder / "here" / "selected.jsonl").exists())
        self.assertIn("cancelled", process.stderr.read())

        self.run_here("here", "--earlier-results", "resume")
        self.run_command("command")
        self.assert_same("here", "command")

    def test_bad_arguments_are_named(self):
        self.write_corpus(1)
        for arguments, words in [([], "usage"), ([PACKAGE, "result"], "usage"),
                                 ([PACKAGE, "result", "--window", "8", str(self.corpus), "--ratio"], "usage"),
                                 ([PACKAGE, "result", "--color", "red", "a"], 'no setting "color"'),
                                 ([str(self.folder), "result", "a"], "is no scorer package"),
                                 ([PACKAGE, str(self.folder / "result"), f"{self.folder}/none"], "No such file")]:
            done = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=PATIENCE)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
