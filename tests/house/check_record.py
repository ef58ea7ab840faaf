"""The tests of test_record.sh."""
import csv
import io
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "perf"))

# pylint: disable=wrong-import-position
import contenders
import measure
import noise
import page
import plot
import progress
import record
import results
import rows
import sweeps
from case import Case

QUIET = {"slow": 0.05, "bursts": 0.1, "steal": 0.0, "others": 0.01, "probes": [0.05], "reasons": []}


def kept(runs, **more):
    return {"row": "made", "title": "made <up>", "note": "<said>", "name": "made <up>",
            "axis": None, "x": None, "log": False, "metrics": ["ns_per_op"], "plots": ["ns_per_op"], "runs": runs, "failed": [],
            "verdicts": [], "refused": [], "noise": QUIET} | more


def of(*values, metric="ns_per_op"):
    return [{metric: value} for value in values]


class Statistics(unittest.TestCase):
    def test_summary(self):
        self.assertEqual(results.summary([5, 1, 4, 2, 3]), (5, 3, 2, 4, 1, 5))
        self.assertEqual(results.summary([4, 1]), (2, 2.5, 1.75, 3.25, 1, 4))
        self.assertEqual(results.summary([7]), (1, 7, 7, 7, 7, 7))

    def test_a_run_without_the_metric_is_left_out(self):
        case = kept({"pirn": [{"a": 1, "b": 5}, {"a": 3}]})
        self.assertEqual(results.medians(case), {"pirn": {"a": 2, "b": 5}})
        self.assertEqual(results.summaries(case)["pirn"]["b"].runs, 1)


class Gates(unittest.TestCase):
    def said(self, case, **medians):
        return [check({name: {case.metrics[0]: value} for name, value in medians.items()})
                for check in case.checks][0]

    def test_less_is_better(self):
        case = Case("t", ["ns_per_op"], {}).factor(2, 4)
        self.assertIn("2.50x as good as tokio", self.said(case, pirn=10, go=30, tokio=25))
        self.assertTrue(self.said(case, pirn=10, go=25).endswith(": gate met"))
        self.assertTrue(self.said(case, pirn=10, go=40).endswith(": goal met"))
        self.assertTrue(self.said(case, pirn=10, go=19).endswith(": GATE MISSED"))
        self.assertTrue(self.said(case, go=19).endswith(": GATE MISSED"))

    def test_more_is_better(self):
        case = Case("t", ["msgs_per_s"], {}).factor(1, None, than="go")
        self.assertTrue(self.said(case, pirn=10, go=9, tokio=90).endswith(": gate met"))
        self.assertTrue(self.said(case, pirn=8, go=9).endswith(": GATE MISSED"))

    def test_limit(self):
        case = Case("t", ["latency_p99_us"], {}).limit("latency_p99_us", 100, 50)
        self.assertTrue(self.said(case, pirn=101).endswith(": GATE MISSED"))
        self.assertTrue(self.said(case, pirn=50).endswith(": goal met"))


class Noise(unittest.TestCase):
    def test_each_figure_has_its_bound(self):
        self.assertEqual(noise.reasons(dict(noise.BOUNDS)), [])
        for key, bound in noise.BOUNDS.items():
            found = noise.reasons({**noise.BOUNDS, key: bound * 1.1})
            self.assertEqual(len(found), 1, key)

    def test_cpu_times_are_of_the_cpus_we_may_use(self):
        tick, mine = os.sysconf("SC_CLK_TCK"), sorted(os.sched_getaffinity(0))[0]
        text = (f"cpu 9 9 9 9 9 9 9 9 9 9\ncpu{mine} 100 20 3 4000 500 60 70 8 1 1\n"
                "cpu4095 1 1 1 1 1 1 1 1 1 1\nctxt 7\n")
        busy, stolen, total = noise.cpu_times(text)
        self.assertAlmostEqual(busy * tick, 123)
        self.assertAlmostEqual(stolen * tick, 8)
        self.assertAlmostEqual(total * tick, 4761)

    def test_the_best_pace_is_remembered_for_a_while(self):
        said = iter([(100, 105), (120, 126), (90, 180)] + noise.RECENT * [(150, 156)])

        def numbers(command):
            best, mean = next(said)
            asked.append(command)
            return {"piece_iters": 1000, "best_us": best, "mean_us": mean}
        asked, judge = [], noise.Judge()
        with mock.patch.object(contenders, "numbers", numbers):
            self.assertAlmostEqual(judge.slow(), 0.05)
            self.assertAlmostEqual(judge.slow(), 0.26)
            self.assertFalse(judge.quiet_now())
            self.assertIn("100%", judge.last_words())
            for _ in range(noise.RECENT - 1):
                self.assertFalse(judge.quiet_now())
            self.assertTrue(judge.quiet_now())
        self.assertNotIn("piece_iters=1000", asked[0])
        self.assertIn("piece_iters=1000", asked[1])

    def test_watch_takes_median_and_quartile(self):
        judge = mock.Mock()
        judge.slow.side_effect = [0.01, 0.02, 0.30, 0.02, 0.01]
        watch = noise.Watch(judge)
        for _ in range(5):
            watch.probe()
        seen = watch.end()
        self.assertEqual((seen["slow"], seen["bursts"]), (0.02, 0.02))


class Commands(unittest.TestCase):
    def test_who_does_not_say_is_looked_at(self):
        with tempfile.TemporaryDirectory() as folder:
            seen = Path(folder) / "seen"

            def look(pid, found, really=contenders.look):
                really(pid, found)
                seen.touch()
            script = f"until [ -e {seen} ]; do sleep 0.01; done; echo a line; echo x=2.5; echo threads=7"
            with mock.patch.object(contenders, "look", look):
                found = contenders.numbers(["sh", "-c", script])
        self.assertEqual((found.pop("resident_kb") > 100, found), (True, {"x": 2.5, "threads": 7}))

    def test_what_fails_or_does_not_end_has_no_numbers(self):
        with mock.patch("sys.stderr", io.StringIO()) as said:
            self.assertIsNone(contenders.numbers(["sh", "-c", "echo x=1; echo why >&2; exit 3"]))
            self.assertIn("status 3\nwhy", said.getvalue())
            with mock.patch.object(contenders, "RUN_SECONDS", 0):
                self.assertIsNone(contenders.numbers(["sleep", "1000"]))
            self.assertIn("not done after 0 s", said.getvalue())


class Turns(unittest.TestCase):
    """measure.py, with contenders that are not there."""

    def setUp(self):
        self.order, self.verdicts, self.calm = [], [], True
        self.case = Case("made", ["ns_per_op"], {}).factor(2, 4)
        self.case.commands = {"pirn": ["pirn"], "go": ["go"], "tokio": ["tokio"]}
        for patch in (mock.patch.object(contenders, "numbers", self.numbers),
                      mock.patch.object(noise, "Watch", self.watch),
                      mock.patch.object(measure, "PATIENCE", 0),
                      mock.patch.object(measure, "PAUSE", 0)):
            patch.start()
            self.addCleanup(patch.stop)

    def numbers(self, command, _):
        self.order.append(command[0])
        return None if command[0] == "tokio" else {"ns_per_op": {"pirn": 10, "go": 30}[command[0]]}

    def watch(self, _):
        why = self.verdicts.pop(0) if self.verdicts else []
        return mock.Mock(end=lambda: {**QUIET, "reasons": why})

    def measured(self, rounds=3, **more):
        judge = mock.Mock(quiet_now=lambda: self.calm, last_words=lambda: "it hums")
        with tempfile.TemporaryDirectory() as folder:
            ahead = progress.Progress(measure.plan([self.case], rounds), Path(folder) / "kept",
                                      out=io.StringIO())
            made = measure.measure("row", self.case, rounds, ahead, judge, **more)
            self.assertEqual(ahead.left, [])
        return made

    def test_in_turns_and_who_fails_is_out(self):
        made = self.measured()
        self.assertEqual(self.order, ["pirn", "go", "tokio", "go", "pirn", "pirn", "go"])
        self.assertEqual(made["failed"], ["tokio"])
        self.assertEqual(made["runs"], {"pirn": of(10, 10, 10), "go": of(30, 30, 30)})
        self.assertIn("3.00x as good as go", made["verdicts"][0])

    def test_noise_before_it_refuses(self):
        self.calm = False
        made = self.measured()
        self.assertEqual((self.order, made["runs"], made["verdicts"]), ([], {}, []))
        self.assertIn("it hums", made["refused"][0])

    def test_noise_meanwhile_refuses(self):
        self.verdicts = [["a storm"]]
        made = self.measured(rounds=1)
        self.assertEqual((len(self.order), made["runs"], made["verdicts"]), (3, {}, []))
        self.assertIn("a storm", made["refused"][0])

    def test_noisy_ok_compares_and_marks(self):
        self.calm, self.verdicts = False, [["a storm"]]
        made = self.measured(noisy_ok=True)
        self.assertTrue(made["runs"] and made["verdicts"] and not made["refused"])
        self.assertIn("ON A NOISY MACHINE: a storm", results.table(made))


class Time(unittest.TestCase):
    def test_left(self):
        now = [0.0]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "durations.json"

            def progress_of(plan):
                return progress.Progress(plan, file, out=io.StringIO(), clock=lambda: now[0])
            ahead = progress_of([("a", "pirn")] * 2 + [("b", "go")])
            self.assertEqual(ahead.seconds_left(), 3 * progress.FIRST_GUESS)
            ahead.begin("a", "pirn", "")
            now[0] += 8
            ahead.end()
            self.assertEqual(ahead.seconds_left(), 8 + 8)
            ahead.skip("a")
            self.assertEqual(ahead.left, [("b", "go")])
            ahead.close()
            self.assertEqual(progress_of([("a", "pirn"), ("c", "x")]).seconds_left(),
                             8 + progress.FIRST_GUESS)


class Balance(HTMLParser):
    """What is opened is closed, and nothing is fetched from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.links += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data


class Reports(unittest.TestCase):
    def setUp(self):
        case = kept({"pirn": of(10, 12, 11), "a_peer": of(1000, 1010, 990)},
                    verdicts=["ns_per_op: GATE MISSED"], failed=["tokio"])
        sweep = [kept({"pirn 1": of(x, 2 * x, metric="msgs_per_s"), "go": of(x, metric="msgs_per_s")},
                      title="sweep", name=f"sweep; connections: {x}", axis="connections", x=x, log=True,
                      metrics=["msgs_per_s"], plots=["msgs_per_s"]) for x in (1, 100)]
        refused = kept({}, title="other", name="other", refused=["it hums"])
        about = {"cpu": "a <cpu>", "workers": 2, "memory_gib": 4, "kernel": "6.1", "system": "Debian",
                 "when": "today", "versions": {"Go": "go1.x"}, "absent": ["fio"]}
        self.record = {"about": about, "noisy": False, "bounds": noise.BOUNDS,
                       "cases": [case, *sweep, refused]}

    def test_table(self):
        text = results.table(self.record["cases"][0])
        self.assertRegex(text, r"pirn +11 +10 \.\. 12\n")
        self.assertRegex(text, r"a_peer +1,000 +990 \.\. 1,010\n")
        self.assertIn("tokio failed", text)
        self.assertIn("NOT COMPARED: it hums", results.table(self.record["cases"][3]))

    def test_csv(self):
        file = io.StringIO()
        results.write_csv(self.record, file)
        lines = list(csv.DictReader(io.StringIO(file.getvalue())))
        self.assertEqual(len(lines), 6)
        first = lines[0]
        self.assertEqual((first["contender"], first["metric"], first["runs"], first["median"],
                          first["values"], first["noisy"]),
                         ("pirn", "ns_per_op", "3", "11", "10 12 11", "no"))
        self.assertEqual((lines[2]["axis"], lines[2]["x"], lines[2]["upper_quartile"]),
                         ("connections", "1", "1.75"))

    def check_page(self, plots):
        made = Balance()
        made.feed(page.page(self.record, plots))
        made.close()
        self.assertEqual(made.open, [])
        for link in made.links:
            self.assertTrue(link.startswith("data:image/svg+xml;base64,"), link[:60])
        for text in ("made <up>", "<said>", "a <cpu>", "GATE MISSED", "Not compared: it hums", "go1.x", "fio",
                     "connections: 100", "1 of 4 cases were beyond that"):
            self.assertIn(text, made.text)
        return len(made.links)

    def test_page_without_plots(self):
        self.assertEqual(self.check_page(False), 0)

    @unittest.skipUnless(plot.here(), "gnuplot is not here")
    def test_page_with_plots(self):
        self.assertEqual(self.check_page(True), 2)

    def test_a_noisy_page_says_so(self):
        self.record["noisy"] = True
        self.assertFalse(page.noise_words(self.record)[1])
        self.record["cases"][0]["noise"] = {"reasons": ["a storm"]}
        words, warning = page.noise_words(self.record)
        self.assertTrue(warning and "1 of 4 cases" in words)
        self.assertIn("On a noisy machine: a storm", page.page(self.record, False))

    @unittest.skipUnless(plot.here(), "gnuplot is not here")
    def test_plots_are_pictures(self):
        for svg in (plot.bars(self.record["cases"][0], "ns_per_op"),
                    plot.lines(self.record["cases"][1:3], "msgs_per_s")):
            texts = " ".join(xml.etree.ElementTree.fromstring(svg).itertext())
            self.assertIn("pirn", texts)
        self.assertIn("connections", texts)
        self.assertIsNone(plot.lines(self.record["cases"][1:3], "nothing"))


class Rows(unittest.TestCase):
    ready = {name: lambda row, more="", name=name: f"{name} {row} {more}" for name in contenders.PEERS}

    def test_names_are_unlike(self):
        for row, cases in rows.ROWS.items():
            made = list(cases(self.ready))
            self.assertEqual(len({case.name for case in made}), len(made), row)
            for case in made:
                self.assertTrue(case.commands and case.metrics, case.name)

    def test_the_shares_are_what_is_asked_for(self):
        for case in sweeps.cpu_share(self.ready):
            keys = dict(arg.split("=", 1) for arg in case.commands["pirn 1"][2:])
            asked = 0
            if case.x:
                asked = int(keys["heavy"]) * int(keys["heavy_us"]) / int(keys["heavy_pace_us"])
            self.assertAlmostEqual(asked, case.x / 100 * sweeps.WORKERS, places=2)

    def test_arguments(self):
        self.assertEqual(record.arguments(["echo", "rounds=2"]), (["echo"], 2, False))
        self.assertEqual(record.arguments(["all", "--noisy"])[0], list(rows.ROWS))
        self.assertEqual(record.arguments(["wake"])[1:], (False, False))
        for wrong in ([], ["nothing"], ["echo", "rounds=0"], ["echo", "runs=2"], ["echo", "noisy=no"]):
            with self.assertRaises(SystemExit):
                record.arguments(wrong)


class SecondTurns(unittest.TestCase):
    """record.take: what was refused is asked for again after the rest."""

    def taken(self, names, refusals):
        """refusals: the answers of each case, in the order in which it is asked."""
        order = []

        def measured(_, case, __):
            order.append(case)
            left = refusals.get(case)
            return kept({}, title=case, name=case, refused=["it hums"] if left and left.pop(0) else [])

        made = {"cases": []}
        with mock.patch.object(record, "write"), mock.patch("builtins.print"):
            record.take([("row", name, 1) for name in names], made, measured)
        return order, [(case["name"], bool(case["refused"])) for case in made["cases"]]

    def test_after_the_rest_in_its_old_place(self):
        order, made = self.taken("abc", {"a": [True, False], "b": [True, True]})
        self.assertEqual(order, list("abcab"))
        self.assertEqual(made, [("a", False), ("b", True), ("c", False)])

    def test_gives_up(self):
        names = "abcdefghij"
        order, made = self.taken(names, {name: [True, True] for name in names})
        self.assertEqual(order, list(names[:record.GIVE_UP]))
        self.assertTrue(all(refused for _, refused in made))


SLOW_SERVER = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
conn, _ = listener.accept()
while message := conn.recv(64, socket.MSG_WAITALL):
    time.sleep(0.1)
    conn.sendall(message)
"""


@unittest.skipUnless(os.access(contenders.BENCH, os.X_OK), "the bench program is not built")
class Load(unittest.TestCase):
    def test_missed_beats_count(self):
        """A beat each 5 ms for 600 ms, an answer each 100 ms: at most 7 answers, and for each those
        of the beats that passed meanwhile."""
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(SLOW_SERVER)
            file.flush()
            command = [str(contenders.BENCH), "requests", "conns=1", "pace_us=5000", "ms=600",
                       f"server={sys.executable} {file.name}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        seen = dict(line.split("=") for line in done.stdout.splitlines())
        answers, latencies = float(seen["msgs_per_s"]) * 0.6, int(seen["latency_samples"])
        self.assertLessEqual(answers, 7.5)
        self.assertGreater(latencies, 5 * answers)
        self.assertLess(latencies, 125)
        self.assertGreater(float(seen["latency_p50_us"]), 40000)
        self.assertGreater(float(seen["latency_max_us"]), 99000)
        self.assertGreater(int(seen["resident_kb"]), 1000)
        self.assertEqual(int(seen["threads"]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=1)
