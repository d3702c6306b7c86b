//! Closures from one store to another without a network: `pith store export` and `pith store import`.

use std::error::Error;
use std::fs::{self, File};

use store::testing::{add_tree, memory_tree, open};
use store::{MemoryNode, PathInfo};
use tests::{Finished, TestEnv, run};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// Two objects, of which one refers to the other.
fn fill(env: &TestEnv) -> TestResult<(PathInfo, PathInfo)> {
    let store = open(env.store())?;
    let tree = memory_tree(&[("lib/one", MemoryNode::file("one"))]);
    let library = add_tree(&store, "library-1", tree, &[])?;
    let text = format!("#!{}\n", library.path.to_logical());
    let program = add_tree(&store, "program-1", MemoryNode::program(text), &[&library])?;
    Ok((library, program))
}

fn export(env: &TestEnv, path: &str, file: &str) -> TestResult<Finished> {
    let mut command = env.command(&["store", "export", path]);
    command.stdout(File::create(env.path(file))?);
    let status = command.output()?;
    Ok(Finished {
        status: status.status.code().ok_or("it ended")?,
        stdout: String::new(),
        stderr: String::from_utf8(status.stderr)?,
    })
}

fn import(env: &TestEnv, from: &TestEnv, file: &str, flags: &[&str]) -> TestResult<Finished> {
    let mut command = env.command(&[&["store", "import"], flags].concat());
    command.stdin(File::open(from.path(file))?);
    Ok(run(&mut command))
}

#[test]
fn a_closure_goes_through_a_file_into_another_store() -> TestResult {
    let (here, there) = (TestEnv::new(), TestEnv::new());
    let (library, program) = fill(&here)?;
    let path = program.path.to_logical();
    let exported = export(&here, &path, "closure")?.expect_success();
    assert!(
        exported.stderr.contains("exported 2 objects"),
        "{}",
        exported.stderr
    );
    let imported = import(&there, &here, "closure", &[])?.expect_success();
    assert_eq!(imported.stdout, format!("{path}\n"));
    let store = open(there.store())?;
    for info in [&library, &program] {
        assert_eq!(
            store.path_info(&info.path)?.ok_or("it is valid")?.id,
            info.id
        );
    }
    drop(store);
    there
        .pith(&["store", "verify", "--contents"])
        .expect_success();
    let again = import(&there, &here, "closure", &["--json"])?.expect_success();
    assert_eq!(again.json()["known"], 2);
    Ok(())
}

#[test]
fn a_stream_that_was_cut_is_refused_with_its_length() -> TestResult {
    let (here, there) = (TestEnv::new(), TestEnv::new());
    let (_, program) = fill(&here)?;
    export(&here, &program.path.to_logical(), "closure")?.expect_success();
    let whole = fs::read(here.path("closure"))?;
    let length = whole.len() - 10;
    fs::write(here.path("cut"), &whole[..length])?;
    let refused = import(&there, &here, "cut", &["-q"])?.expect_status(4);
    assert_eq!(
        refused.stderr,
        format!("error: the stream is not whole: it ends after {length} bytes\n")
    );
    there
        .pith(&["store", "verify", "--contents"])
        .expect_success();
    Ok(())
}
