//! Bytes and digests that may never change without a new format version.

use std::error::Error;

use store::{
    AddBatch, AddObject, AddSource, MemoryNode, Node, Tree, scratch_path,
    testing::{TempStore, memory_tree},
};

type TestResult = Result<(), Box<dyn Error>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The worked example of `tree/FORMAT.md`.
fn example() -> Result<MemoryNode, Box<dyn Error>> {
    Ok(memory_tree(&[
        ("hi", MemoryNode::program("hi\n")),
        ("ln", MemoryNode::symlink("hi")?),
    ]))
}

#[test]
fn the_tree_format_is_pinned() -> TestResult {
    assert_eq!(hex(&Tree::default().encode()), "545245450100000000000000");
    assert_eq!(
        Tree::default().id().to_string(),
        "blake3:105fa2073f8435fa2dcb443a96373fa3cfa04a4f49537421bb4233bdb25855b1"
    );
    let (root, bundle) = example()?.to_bundle()?;
    assert_eq!(
        hex(&bundle.encode()),
        "5452454501000000020000000202686903000000000000000b8b60248fad7ac6dfac221b7e01a8b91c772421a15b387dd1fb2d6a94aee43804026c6e02006869"
    );
    assert_eq!(
        root,
        Node::Directory {
            tree: "blake3:66e5a3ed0885744a41c21769de1ea7ac7dd4a203622d1e9d0b6c3257cdb62c30"
                .parse()?,
            size_bytes: 3,
            nodes: 2
        }
    );
    let mut nested = memory_tree(&[
        ("b/c", MemoryNode::file("x")),
        ("a", MemoryNode::directory()),
    ]);
    nested.insert("example", example()?)?;
    let (root, _) = nested.to_bundle()?;
    assert_eq!(
        root,
        Node::Directory {
            tree: "blake3:39b4857f8c143e70d4ab9a4e72b07f4f53efdc51cfb1a79e453f18e3f8ddb617"
                .parse()?,
            size_bytes: 4,
            nodes: 6
        }
    );
    Ok(())
}

#[test]
fn the_identity_of_objects_is_pinned() -> TestResult {
    let store = TempStore::new();
    let plain = store.add_tree("example-1", example()?, &[])?;
    assert_eq!(
        plain.id.to_string(),
        "blake3:77c64ebf34bbbcfc5e05c36e2fcd7269f7c884c3458e10e6cf810e7af367fc57"
    );
    assert_eq!(
        plain.path.to_string(),
        "fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng-example-1"
    );
    let scratch = scratch_path(&"self-1".parse()?, "out");
    let tree = memory_tree(&[
        (
            "bin/self",
            MemoryNode::program(format!(
                "{0} {1} {0}",
                scratch.to_logical(),
                plain.path.to_logical()
            )),
        ),
        (
            "link",
            MemoryNode::symlink(format!("{}/bin/self", scratch.to_logical()))?,
        ),
        ("plain", MemoryNode::file("")),
    ]);
    let object = AddObject {
        scratch: Some(scratch),
        ..AddObject::new("self-1".parse()?, AddSource::Tree(tree))
    };
    let candidates = vec![(plain.path.clone(), plain.id)];
    let infos = store.add(AddBatch {
        objects: vec![object],
        candidates,
        ..AddBatch::default()
    })?;
    assert_eq!(
        infos[0].id.to_string(),
        "blake3:73378f969cbebe2ec8b7af26730e19f08cbd4b7cce980b01fac02a27a1be2f6e"
    );
    Ok(())
}
