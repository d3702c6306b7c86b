//! Images in registries: Debian's `docker-registry`, and servers that answer as none should. All on loopback, each on a port that the system chose.

mod push;

use std::error::Error;

use store::{MemoryNode, StorePath, testing::TempStore};
use tests::Random;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A small closure: `hello` refers to a library that does not get smaller by compression.
pub(crate) struct Fixture {
    pub(crate) store: TempStore,
    pub(crate) hello: StorePath,
}

impl Fixture {
    pub(crate) fn new() -> TestResult<Self> {
        let store = TempStore::new();
        let mut library = MemoryNode::directory();
        library.insert("lib/libc.so", MemoryNode::file(noise(300_000)))?;
        let library = store.add_tree("libc-1.0", library, &[])?;
        let mut hello = MemoryNode::directory();
        let program = format!("#!{}/lib/libc.so\n", library.path.to_logical());
        hello.insert("bin/hello", MemoryNode::program(program))?;
        let hello = store.add_tree("hello-2.10", hello, &[&library])?;
        Ok(Self {
            store,
            hello: hello.path,
        })
    }
}

/// The same bytes each time.
fn noise(count: usize) -> Vec<u8> {
    let mut random = Random::new(1);
    (0..count).map(|_| random.next().to_le_bytes()[0]).collect()
}
