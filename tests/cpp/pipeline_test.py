"""Runs the example pipeline on real text: changes its package while it scores, interrupts it, gives it bad input.

    pipeline_test.py PIPELINE PACKAGE OTHER_PACKAGE TEXT_FILE...
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

PIPELINE, PACKAGE, OTHER = sys.argv[1:4]
TEXTS = [path.read_text() for path in map(Path, sys.argv[4:])]
WINDOW = 256
PATIENCE = 60


def line_of(number):
    return json.dumps({"id": f"document {number}", "text": TEXTS[number % len(TEXTS)]}) + "\n"


LONG_LINE = json.dumps({"id": "long", "text": "".join(TEXTS)}) + "\n"


class Pipeline:
    """A running pipeline, whose output is read while it runs."""

    def __init__(self, folder, arguments, window):
        self.package_file = Path(folder, "package")
        self.package_file.write_text(PACKAGE + "\n")
        self.process = subprocess.Popen(
            [PIPELINE, str(self.package_file), *arguments, "--threads", "8", "--window", str(window)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.scores, self.messages = [], []
        self.readers = [
            threading.Thread(target=self.collect, args=(self.process.stdout, self.scores, json.loads)),
            threading.Thread(target=self.collect, args=(self.process.stderr, self.messages, str.strip)),
        ]
        for reader in self.readers:
            reader.start()
        self.written = 0

    @staticmethod
    def collect(stream, lines, parse):
        for line in stream:
            lines.append(parse(line))

    def write(self, count):
        for _ in range(count):
            self.process.stdin.write(line_of(self.written))
            self.written += 1
        self.process.stdin.flush()

    def wait_for(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain; messages: {self.messages}")
            time.sleep(0.01)

    def write_until(self, condition):
        """Keeps all threads scoring until the condition holds."""
        def more():
            if self.written < len(self.scores) + 100:
                self.write(50)
            return condition()
        self.wait_for(more)

    def end(self):
        """Waits for the end; gives how many documents were read, scored and failed."""
        self.process.stdin.close()
        self.status = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join()
        counts = re.fullmatch(r"read (\d+) = scored (\d+) \+ failed (\d+)", self.messages[-1])
        return tuple(map(int, counts.groups()))

    def kill(self):
        """Leaves nothing behind, whatever became of the test."""
        self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def packages(self):
        return [score["package"] for score in self.scores]


class PipelineTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, arguments=(), window=WINDOW):
        pipeline = Pipeline(self.folder, arguments, window)
        self.addCleanup(pipeline.kill)
        return pipeline

    def check_all_scored(self, pipeline):
        self.assertEqual(pipeline.end(), (pipeline.written, pipeline.written, 0))
        self.assertEqual(pipeline.status, 0)
        self.assertEqual(sorted(score["id"] for score in pipeline.scores),
                         sorted(f"document {number}" for number in range(pipeline.written)))

    def check_scores_fit_packages(self, pipeline):
        """A document has one score by each package, whenever it was scored; the two packages differ."""
        by_text = {}
        for score in pipeline.scores:
            text = int(score["id"].split()[1]) % len(TEXTS)
            by_text.setdefault((text, score["package"]), set()).add((score["DS"], score["DU"]))
        self.assertTrue(all(len(scores) == 1 for scores in by_text.values()))
        differing = [text for (text, package), scores in by_text.items()
                     if package == OTHER and by_text.get((text, PACKAGE), scores) != scores]
        self.assertTrue(differing)

    def test_a_changed_file_changes_the_package(self):
        pipeline = self.start()
        pipeline.write_until(lambda: len(pipeline.scores) > 200)
        pipeline.package_file.write_text(OTHER)
        pipeline.write_until(lambda: pipeline.packages().count(OTHER) > 200)
        pipeline.package_file.write_text(PACKAGE)
        pipeline.write_until(lambda: pipeline.packages()[-1] == PACKAGE)
        self.check_all_scored(pipeline)
        self.check_scores_fit_packages(pipeline)
        self.assertEqual(pipeline.messages[:2], [f"now scoring with {OTHER}", f"now scoring with {PACKAGE}"])
        print(f"{pipeline.written} documents: {pipeline.packages().count(PACKAGE)} by one package,",
              f"{pipeline.packages().count(OTHER)} by the other", file=sys.stderr)

    def test_a_signal_opens_the_package_again(self):
        pipeline = self.start()
        pipeline.write_until(lambda: pipeline.scores)
        for times in range(1, 4):
            pipeline.process.send_signal(signal.SIGHUP)
            pipeline.write_until(lambda: pipeline.messages.count(f"now scoring with {PACKAGE}") == times)
        self.check_all_scored(pipeline)

    def test_a_package_that_does_not_open_changes_nothing(self):
        pipeline = self.start()
        pipeline.write(100)
        pipeline.package_file.write_text("/no/such/package")
        pipeline.write_until(lambda: any("/no/such/package" in message for message in pipeline.messages))
        pipeline.write(100)
        self.check_all_scored(pipeline)
        self.assertTrue(pipeline.messages[0].startswith(f"still scoring with {PACKAGE}: "))
        self.assertEqual(set(pipeline.packages()), {PACKAGE})

    def test_an_interrupt_finishes_what_was_read(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            pipeline = self.start()
            pipeline.write_until(lambda: len(pipeline.scores) > 100)
            pipeline.process.send_signal(number)
            # Standard input is still open: nothing but the signal ends it.
            self.assertEqual(pipeline.process.wait(PATIENCE), 0)
            read, scored, failed = pipeline.end()
            self.assertEqual((read, failed), (scored, 0))
            self.assertEqual(len(pipeline.scores), scored)
            self.assertLessEqual(read, pipeline.written)

    def test_an_interrupt_ends_the_wait_for_input(self):
        pipeline = self.start()
        pipeline.write(10)
        pipeline.wait_for(lambda: len(pipeline.scores) == 10)
        pipeline.process.send_signal(signal.SIGINT)
        self.assertEqual(pipeline.process.wait(PATIENCE), 0)
        self.assertEqual(pipeline.end(), (10, 10, 0))

    def test_a_second_interrupt_gives_up_what_was_read(self):
        pipeline = self.start(window=16384)
        pipeline.process.stdin.write(LONG_LINE * 20)
        pipeline.process.stdin.flush()
        pipeline.wait_for(lambda: pipeline.scores)
        pipeline.process.send_signal(signal.SIGINT)
        pipeline.process.send_signal(signal.SIGTERM)
        self.assertEqual(pipeline.process.wait(PATIENCE), 1)
        read, scored, failed = pipeline.end()
        self.assertEqual(read, scored + failed)
        self.assertEqual(len(pipeline.scores), scored)
        self.assertEqual(sum("cancel" in message for message in pipeline.messages), failed)
        self.assertGreater(failed, 0)

    def test_documents_that_cannot_be_scored_are_counted(self):
        pipeline = self.start()
        pipeline.write(1)
        bad = ["{", "[]", "{}", '{"text": 5}', '{"text": ""}', '{"text": "a"}']
        pipeline.process.stdin.write("\n".join(bad) + '\n\n{"text": "no id, and no end of the line"}')
        self.assertEqual(pipeline.end(), (8, 2, 6))
        self.assertEqual(pipeline.status, 1)
        self.assertEqual(sorted(map(str, (score["id"] for score in pipeline.scores))), ["9", "document 0"])
        self.assertEqual(sorted(message.split(":")[0] for message in pipeline.messages[:-1]),
                         [f"line {number}" for number in range(2, 8)])

    def test_a_file_is_read_to_its_end(self):
        documents = Path(self.folder, "documents.jsonl")
        documents.write_text("".join(map(line_of, range(300))))
        pipeline = self.start(arguments=[str(documents)])
        pipeline.written = 300
        self.check_all_scored(pipeline)

    def test_bad_arguments_are_named(self):
        package_file = Path(self.folder, "package")
        package_file.write_text(PACKAGE)
        for arguments, words in [
            ([], "usage"), (["a", "b", "c"], "usage"),
            (["a", "--threads"], "usage"), (["a", "--threads", "0"], "usage"),
            (["a", "--color", "red"], 'no setting "color"'), ([f"{self.folder}/none"], "names no scorer package"),
            ([str(package_file), f"{self.folder}/none"], "No such file"),
            ([str(package_file), self.folder], "Is a directory"),
        ]:
            done = subprocess.run([PIPELINE, *arguments], capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
