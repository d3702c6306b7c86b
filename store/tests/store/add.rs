//! Objects go in, and come out as they were.

use std::{
    error::Error,
    fs,
    os::fd::AsFd,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use store::{
    AddBatch, AddObject, AddSource, ClosureError, MemoryNode, NewRealisation, Node, ResolvedDigest,
    StorePath, scratch_path,
    testing::{self, TempStore, memory_tree as tree},
};

type TestResult = Result<(), Box<dyn Error>>;

#[test]
fn a_tree_comes_out_as_it_went_in() -> TestResult {
    let store = TempStore::new();
    let tree = tree(&[
        ("bin/hello", MemoryNode::program("#!/bin/sh\n")),
        ("share/doc/readme", MemoryNode::file("text")),
        ("share/link", MemoryNode::symlink("doc/readme")?),
        ("empty", MemoryNode::directory()),
    ]);
    let info = store.add_tree("hello-1", tree.clone(), &[])?;
    assert_eq!(info.root, tree.to_bundle()?.0);
    assert_eq!((info.size_bytes, info.nodes), (14, 8));
    let real = store.real_path(&info.path);
    assert_eq!(fs::read(real.join("share/link"))?, b"text");
    for (file, mode) in [
        ("", 0o40555),
        ("bin/hello", 0o100_555),
        ("share/doc/readme", 0o100_444),
        ("share", 0o40555),
        ("empty", 0o40555),
    ] {
        let metadata = fs::symlink_metadata(real.join(file))?;
        assert_eq!(
            (metadata.permissions().mode(), metadata.mtime()),
            (mode, 1),
            "{file}"
        );
    }
    assert_eq!(fs::symlink_metadata(real.join("share/link"))?.mtime(), 1);
    assert_eq!(store.path_info(&info.path)?, Some(info.clone()));
    assert_eq!(store.find_by_id(&info.id)?, Some(info.clone()));
    assert_eq!(
        store.find_by_prefix(&info.path.to_string()[..7])?,
        [info.path]
    );
    Ok(())
}

#[test]
fn the_same_tree_from_disk_from_memory_and_in_another_store_is_the_same_object() -> TestResult {
    let memory = tree(&[
        ("a", MemoryNode::file("x")),
        ("b/c", MemoryNode::program("y")),
        ("l", MemoryNode::symlink("a")?),
    ]);
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("tree");
    fs::create_dir_all(root.join("b"))?;
    fs::write(root.join("a"), "x")?;
    fs::write(root.join("b/c"), "y")?;
    fs::set_permissions(root.join("b/c"), fs::Permissions::from_mode(0o710))?;
    std::os::unix::fs::symlink("a", root.join("l"))?;
    let parent = fs::File::open(directory.path())?;
    let source = AddSource::Entry {
        parent: parent.as_fd(),
        name: "tree".as_ref(),
    };
    let (one, other) = (TempStore::new(), TempStore::new());
    let batch = AddBatch {
        objects: vec![AddObject::new("t".parse()?, source)],
        ..AddBatch::default()
    };
    assert_eq!(one.add(batch)?, [other.add_tree("t", memory, &[])?]);
    Ok(())
}

#[test]
fn references_are_found_with_their_first_file_and_offset() -> TestResult {
    let store = TempStore::new();
    let library = store.add_tree(
        "zlib",
        tree(&[("lib/libz.so", MemoryNode::file("elf"))]),
        &[],
    )?;
    let other = store.add_tree("other", MemoryNode::file("never mentioned"), &[])?;
    let text = format!("rpath={}/lib", library.path.to_logical());
    let program = tree(&[
        ("bin/z", MemoryNode::program(text.clone())),
        ("also", MemoryNode::file("nothing")),
        ("zz", MemoryNode::file(text)),
    ]);
    let info = store.add_tree("prog", program, &[&library, &other])?;
    assert_eq!(info.references.len(), 1);
    assert_eq!(
        (
            &info.references[0].path,
            info.references[0].file.as_str(),
            info.references[0].offset
        ),
        (&library.path, "bin/z", 18)
    );
    let paths = store.closure_paths(std::slice::from_ref(&info.path))?;
    let closure = store.closure(std::slice::from_ref(&info.path))?;
    assert_eq!(
        closure.paths().collect::<Vec<_>>(),
        [&library.path, &info.path]
    );
    let mut expected = vec![library.path.clone(), info.path.clone()];
    expected.sort();
    assert_eq!(paths, expected);
    let unknown = scratch_path(&"unknown".parse()?, "out");
    let error = store.closure_paths(&[info.path.clone(), unknown.clone()]);
    assert!(matches!(error, Err(ClosureError::NotValid { path }) if path == unknown));
    assert_eq!(
        closure.why(&info.path, &library.path),
        Some(vec![&info.references[0]])
    );
    Ok(())
}

fn output<'a>(name: &str, output: &str, tree: MemoryNode) -> AddObject<'a> {
    let name = name.parse::<store::StoreName>().expect("a legal name");
    AddObject {
        scratch: Some(scratch_path(&name, output)),
        ..AddObject::new(name, AddSource::Tree(tree))
    }
}

#[test]
fn self_references_become_the_final_path_and_the_id_does_not_depend_on_the_scratch_path()
-> TestResult {
    let mut infos = Vec::new();
    for output in ["out", "dev"] {
        let store = TempStore::new();
        let name = "hello".parse()?;
        let scratch = scratch_path(&name, output);
        let text = format!("prefix={0}:{0}/lib", scratch.to_logical());
        let tree = tree(&[
            ("a", MemoryNode::file(text)),
            ("b", MemoryNode::file("none")),
            (
                "link",
                MemoryNode::symlink(format!("{}/a", scratch.to_logical()))?,
            ),
        ]);
        let object = AddObject {
            scratch: Some(scratch),
            ..AddObject::new(name, AddSource::Tree(tree))
        };
        let info = store
            .add(AddBatch {
                objects: vec![object],
                ..AddBatch::default()
            })?
            .remove(0);
        assert!(info.self_reference && info.references.is_empty());
        let real = store.real_path(&info.path);
        assert_eq!(
            fs::read_to_string(real.join("a"))?,
            format!("prefix={0}:{0}/lib", info.path.to_logical())
        );
        assert_eq!(
            fs::read_link(real.join("link"))?.to_str(),
            Some(format!("{}/a", info.path.to_logical()).as_str())
        );
        assert_eq!(
            fs::symlink_metadata(real.join("a"))?.permissions().mode(),
            0o100_444
        );
        infos.push(info);
    }
    assert_eq!(infos[0], infos[1]);
    Ok(())
}

#[test]
fn outputs_of_one_build_that_refer_to_each_other_get_final_paths() -> TestResult {
    let store = TempStore::new();
    let dev = scratch_path(&"x-dev".parse()?, "dev");
    let out = scratch_path(&"x".parse()?, "out");
    let batch = AddBatch {
        objects: vec![
            output(
                "x-dev",
                "dev",
                tree(&[(
                    "x.pc",
                    MemoryNode::file(format!("{} {}", out.to_logical(), dev.to_logical())),
                )]),
            ),
            output(
                "x",
                "out",
                MemoryNode::file(format!("I am {}", out.to_logical())),
            ),
        ],
        realisations: vec![NewRealisation {
            resolved: ResolvedDigest::from_bytes([1; 32]),
            output: "out".into(),
            object: 1,
            sandbox: "full".into(),
            built_at: 7,
            duration_ms: 8,
        }],
        ..AddBatch::default()
    };
    let infos = store.add(batch)?;
    let (dev, out) = (&infos[0], &infos[1]);
    assert_eq!(
        dev.references
            .iter()
            .map(|reference| &reference.path)
            .collect::<Vec<_>>(),
        [&out.path]
    );
    let text = fs::read_to_string(store.real_path(&dev.path).join("x.pc"))?;
    assert_eq!(
        text,
        format!("{} {}", out.path.to_logical(), dev.path.to_logical())
    );
    let found = store.find_realisations(&ResolvedDigest::from_bytes([1; 32]))?;
    assert_eq!(
        found
            .iter()
            .map(|found| (&found.path, found.object))
            .collect::<Vec<_>>(),
        [(&out.path, out.id)]
    );
    Ok(())
}

#[test]
fn outputs_in_a_circle_are_refused() -> TestResult {
    let store = TempStore::new();
    let a: StorePath = scratch_path(&"a".parse()?, "a");
    let b = scratch_path(&"b".parse()?, "b");
    let batch = AddBatch {
        objects: vec![
            output("a", "a", MemoryNode::file(b.to_string())),
            output("b", "b", MemoryNode::file(a.to_string())),
        ],
        ..AddBatch::default()
    };
    let error = store.add(batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "objects of one build refer to each other in a circle\n  a\n  b\n  a"
    );
    Ok(())
}

#[test]
fn an_object_that_is_valid_already_is_not_written_again() -> TestResult {
    let store = TempStore::new();
    let first = store.add_tree("same", tree(&[("f", MemoryNode::file("x"))]), &[])?;
    let inode = fs::metadata(store.real_path(&first.path).join("f"))?.ino();
    assert_eq!(
        store.add_tree("same", tree(&[("f", MemoryNode::file("x"))]), &[])?,
        first
    );
    assert_eq!(
        fs::metadata(store.real_path(&first.path).join("f"))?.ino(),
        inode
    );
    assert_eq!(
        fs::read_dir(store.root().join("store/.staging"))?.count(),
        0
    );
    Ok(())
}

#[test]
fn files_and_symlinks_can_be_objects() -> TestResult {
    let store = TempStore::new();
    let file = store.add_tree("f", MemoryNode::program("x"), &[])?;
    assert!(matches!(
        file.root,
        Node::File {
            executable: true,
            size: 1,
            ..
        }
    ));
    assert_eq!(
        fs::metadata(store.real_path(&file.path))?
            .permissions()
            .mode(),
        0o100_555
    );
    let link = store.add_tree("l", MemoryNode::symlink("/nowhere")?, &[])?;
    assert_eq!(
        fs::read_link(store.real_path(&link.path))?.to_str(),
        Some("/nowhere")
    );
    Ok(())
}

#[test]
fn several_large_files_are_written_at_once() -> TestResult {
    let work = tempfile::tempdir()?;
    for index in 0..24u8 {
        // One directory each: the files of one directory are one job.
        let directory = work.path().join(index.to_string());
        fs::create_dir(&directory)?;
        fs::write(directory.join("large"), vec![index; 5 << 20])?;
    }
    let store = TempStore::new();
    let parent = fs::File::open(work.path())?;
    let source = AddSource::Entry {
        parent: parent.as_fd(),
        name: ".".as_ref(),
    };
    let candidate = store.add_tree("candidate", MemoryNode::file("x"), &[])?;
    let batch = AddBatch {
        objects: vec![AddObject::new("large".parse()?, source)],
        candidates: vec![(candidate.path, candidate.id)],
        ..AddBatch::default()
    };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(8).build()?;
    let infos = threads.install(|| store.add(batch))?;
    assert_eq!(infos[0].size_bytes, 24 * (5 << 20));
    assert_eq!(testing::find_faults(&store), Vec::<String>::new());
    Ok(())
}
