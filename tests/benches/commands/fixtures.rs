//! The places that the benchmarks run in.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::TestEnv;
use tests::measure::{middle, time};

/// How often a command is timed; the middle counts.
const RUNS: usize = 9;

/// A builder that writes one line to its output: the least a build can do.
const WRITER: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    const char *text = getenv("text");
    int file = open(getenv("out"), O_CREAT | O_WRONLY | O_EXCL, 0644);
    return file < 0 || write(file, text, strlen(text)) < 0;
}
"#;

const TRIVIAL: &str = r#"
writer = source("writer")

def step(name, before):
    return derivation(name = name, builder = [writer], env = {"text": name, "before": before})

def make_chain():
    last = ""
    for number in range(99):
        last = step("step-%d" % number, last)
    return step("chain", last)

def make_parallel():
    return step("parallel", [step("step-%d" % number, "") for number in range(99)])

chain = make_chain()
parallel = make_parallel()
"#;

/// The shared place and what is measured in it.
pub(crate) struct Bench {
    env: TestEnv,
}

impl Bench {
    /// A place on the store that the scenarios share, so that packages are built once.
    pub(crate) fn new() -> Self {
        Self {
            env: TestEnv::with_shared_store(),
        }
    }

    /// A file of the benchmark.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.env.path(name)
    }

    /// Runs `pith`, which must succeed.
    pub(crate) fn pith(&self, arguments: &[&str]) {
        drop(self.env.pith(arguments).expect_success());
    }

    /// The time of one call.
    pub(crate) fn once(&self, work: impl FnOnce()) -> Duration {
        time(work)
    }

    /// The median over [`RUNS`] calls.
    pub(crate) fn median(&self, work: impl Fn()) -> Duration {
        middle((0..RUNS).map(|_| time(&work)).collect())
    }

    /// Builds `target` of the trivial project in an empty store; the median of three.
    pub(crate) fn trivial(&self, target: &str, jobs: &str) -> Duration {
        let mut times: Vec<_> = (0..3)
            .map(|_| {
                let env = TestEnv::new();
                env.write("project/writer.c", WRITER);
                let writer = env.path("project/writer");
                let source = env.path("project/writer.c");
                super::run(
                    Command::new("cc")
                        .arg("-static")
                        .arg("-o")
                        .arg(writer)
                        .arg(source),
                );
                env.write("project/pith.star", TRIVIAL);
                // Opens the store once: what is measured is the builds.
                drop(env.pith(&["store", "info"]).expect_success());
                time(|| {
                    drop(env.pith(&["build", target, "-j", jobs]).expect_success());
                })
            })
            .collect();
        times.sort();
        times[1]
    }

    /// Tars the closure of `target` through `compressor` into a file.
    pub(crate) fn tar_closure(&self, target: &str, compressor: &str) -> Duration {
        let report = self
            .env
            .pith(&["size", target, "--json"])
            .expect_success()
            .json();
        let names: Vec<String> = report["objects"]
            .as_array()
            .expect("`size` lists objects")
            .iter()
            .map(|object| {
                object["path"]
                    .as_str()
                    .expect("a path")
                    .replace("/pith/store/", "")
            })
            .collect();
        let script = format!(
            "tar -c {} | {compressor} > {}",
            names.join(" "),
            self.path("raw.tar").display()
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .current_dir(self.env.store().join("store"))
            .stdin(Stdio::null());
        time(|| super::run(&mut command))
    }
}
