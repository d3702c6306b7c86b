//! What a builder could do to its output, and what becomes of it: nothing, or one error that names the file.

use std::{
    error::Error,
    ffi::OsStr,
    fs,
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, PermissionsExt, symlink},
            net::UnixListener,
        },
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
    sys::stat::Mode,
    unistd::{chown, mkfifo},
};
use store::{
    AddBatch, AddError, AddObject, AddSource, Limits, LocalStore, MemoryNode, Node, PathInfo,
    StoreOptions, scratch_path,
    testing::{StoreDirectory, TempStore, find_faults, memory_tree},
};
use tempfile::TempDir;

type TestResult = Result<(), Box<dyn Error>>;

/// Adds `out` of a directory to a store, as a build's output.
fn add(store: &LocalStore, directory: &Path) -> Result<PathInfo, AddError> {
    let parent = fs::File::open(directory).expect("the directory is there");
    let source = AddSource::Entry {
        parent: parent.as_fd(),
        name: "out".as_ref(),
    };
    let name = "hostile".parse().expect("a legal name");
    let scratch = Some(scratch_path(&name, "out"));
    let batch = AddBatch {
        objects: vec![AddObject {
            scratch,
            ..AddObject::new(name, source)
        }],
        ..AddBatch::default()
    };
    store.add(batch).map(|mut infos| infos.remove(0))
}

fn output() -> io::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    fs::create_dir_all(directory.path().join("out/lib"))?;
    fs::write(directory.path().join("out/lib/file"), "good")?;
    Ok(directory)
}

/// Adds what `prepare` makes of an output, and returns the message of the error. The store must be unharmed.
fn refusal(prepare: impl FnOnce(&Path) -> io::Result<()>) -> Result<String, Box<dyn Error>> {
    let (store, directory) = (TempStore::new(), output()?);
    prepare(&directory.path().join("out"))?;
    let Err(error) = add(&store, directory.path()) else {
        return Ok("no error".to_owned());
    };
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(error.to_string())
}

#[test]
fn special_files_are_refused_by_name() -> TestResult {
    let fifo =
        refusal(|out| mkfifo(&out.join("lib/pipe"), Mode::S_IRWXU).map_err(io::Error::from))?;
    assert_eq!(
        fifo,
        "`hostile` cannot hold the fifo `lib/pipe`; only files, symlinks and directories can be stored"
    );
    let socket = refusal(|out| UnixListener::bind(out.join("lib/socket")).map(drop))?;
    assert_eq!(
        socket,
        "`hostile` cannot hold the socket `lib/socket`; only files, symlinks and directories can be stored"
    );
    Ok(())
}

#[test]
fn a_device_as_output_is_refused() -> TestResult {
    let store = TempStore::new();
    let parent = fs::File::open("/dev")?;
    let source = AddSource::Entry {
        parent: parent.as_fd(),
        name: "null".as_ref(),
    };
    let batch = AddBatch {
        objects: vec![AddObject::new("x".parse()?, source)],
        ..AddBatch::default()
    };
    let error = store.add(batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`x` cannot hold the character device `.`; only files, symlinks and directories can be stored"
    );
    Ok(())
}

#[test]
fn setuid_and_setgid_files_are_refused_by_name() -> TestResult {
    for mode in [0o4755, 0o2755, 0o6555] {
        let message = refusal(|out| {
            fs::set_permissions(out.join("lib/file"), fs::Permissions::from_mode(mode))
        })?;
        assert_eq!(
            message,
            format!(
                "`hostile` cannot hold `lib/file`: its mode {mode:04o} gives its users another identity"
            )
        );
    }
    Ok(())
}

#[test]
fn an_output_that_is_a_symlink_to_etc_is_only_a_symlink() -> TestResult {
    let (store, directory) = (TempStore::new(), tempfile::tempdir()?);
    symlink("/etc", directory.path().join("out"))?;
    let info = add(&store, directory.path())?;
    assert!(matches!(info.root, Node::Symlink { .. }));
    assert_eq!((info.nodes, info.size_bytes), (1, 0));
    assert!(fs::symlink_metadata(store.real_path(&info.path))?.is_symlink());
    Ok(())
}

#[test]
fn a_directory_swapped_for_a_symlink_is_never_followed() -> TestResult {
    let (store, directory) = (TempStore::new(), output()?);
    let secret = tempfile::tempdir()?;
    fs::write(secret.path().join("file"), "secret")?;
    let (lib, trap) = (
        directory.path().join("out/lib"),
        directory.path().join("trap"),
    );
    symlink(secret.path(), &trap)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let swapped = renameat2(
                    AT_FDCWD,
                    &lib,
                    AT_FDCWD,
                    &trap,
                    RenameFlags::RENAME_EXCHANGE,
                );
                assert_eq!(swapped, Ok(()));
            }
        });
        for _ in 0..100 {
            if let Ok(info) = add(&store, directory.path()) {
                let real = store.real_path(&info.path).join("lib");
                if !fs::symlink_metadata(&real).unwrap().is_symlink() {
                    assert_eq!(fs::read(real.join("file")).unwrap(), b"good");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapping.join().unwrap();
    });
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_file_swapped_for_a_fifo_does_not_hang() -> TestResult {
    let (store, directory) = (TempStore::new(), output()?);
    let (file, trap) = (
        directory.path().join("out/lib/file"),
        directory.path().join("trap"),
    );
    mkfifo(&trap, Mode::S_IRWXU)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let swapped = renameat2(
                    AT_FDCWD,
                    &file,
                    AT_FDCWD,
                    &trap,
                    RenameFlags::RENAME_EXCHANGE,
                );
                assert_eq!(swapped, Ok(()));
            }
        });
        for _ in 0..100 {
            let _either: Result<PathInfo, AddError> = add(&store, directory.path());
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn hard_links_become_files_of_their_own_and_the_source_is_not_in_the_store() -> TestResult {
    let (store, directory) = (TempStore::new(), output()?);
    let out = directory.path().join("out");
    fs::hard_link(out.join("lib/file"), out.join("second"))?;
    let writable = fs::OpenOptions::new()
        .write(true)
        .open(out.join("second"))?;
    let info = add(&store, directory.path())?;
    // A descriptor that the builder kept does not reach the stored file.
    io::Write::write_all(&mut &writable, b"evil")?;
    let real = store.real_path(&info.path);
    let inodes = [
        fs::metadata(real.join("second"))?.ino(),
        fs::metadata(real.join("lib/file"))?.ino(),
    ];
    assert_ne!(inodes[0], inodes[1]);
    assert_eq!(fs::read(real.join("second"))?, b"good");
    Ok(())
}

#[test]
fn a_hard_link_to_a_file_of_somebody_else_is_refused() -> TestResult {
    let (store, directory) = (TempStore::new(), output()?);
    let out = directory.path().join("out");
    let foreign = if nix::unistd::geteuid().is_root() {
        // The output is the builder's, the file is root's.
        chown(&out, Some(65534.into()), None)?;
        chown(&out.join("lib/file"), Some(65534.into()), None)?;
        fs::write(directory.path().join("shadow"), "root:secret")?;
        directory.path().join("shadow")
    } else {
        "/etc/passwd".into()
    };
    match fs::hard_link(&foreign, out.join("lib/stolen")) {
        Ok(()) => {
            let error = add(&store, directory.path()).unwrap_err();
            assert!(
                matches!(&error, AddError::ForeignLink { file, owner: 0, .. } if file == "lib/stolen"),
                "{error}"
            );
        }
        // An ordinary user is stopped by the kernel (`fs.protected_hardlinks`), or the file is on another file system.
        Err(error) => assert!(!nix::unistd::geteuid().is_root(), "{error}"),
    }
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn names_of_any_bytes_come_out_as_they_went_in() -> TestResult {
    let (store, directory) = (TempStore::new(), output()?);
    let names: [&[u8]; 7] = [
        b"-rf",
        b"...",
        b"a\nb",
        b"\xff\xfe",
        b" ",
        b"CON",
        &[b'n'; 255],
    ];
    for name in names {
        fs::write(
            directory.path().join("out").join(OsStr::from_bytes(name)),
            name,
        )?;
    }
    let info = add(&store, directory.path())?;
    for name in names {
        assert_eq!(
            fs::read(store.real_path(&info.path).join(OsStr::from_bytes(name)))?,
            name
        );
    }
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_tree_deeper_than_the_limit_is_refused() -> TestResult {
    let message = refusal(|out| fs::create_dir_all(out.join("d/".repeat(64))))?;
    assert_eq!(message, "`hostile` cannot be stored");
    assert_eq!(
        refusal(|out| fs::create_dir_all(out.join("d/".repeat(63))))?,
        "no error"
    );
    Ok(())
}

#[test]
fn a_huge_sparse_file_is_refused_before_a_byte_is_written() -> TestResult {
    let message = refusal(|out| fs::File::create(out.join("sparse"))?.set_len(8 << 40))?;
    assert_eq!(
        message,
        "`hostile` has more than the allowed 274877906944 bytes"
    );
    Ok(())
}

#[test]
fn an_object_larger_than_the_file_system_is_refused_before_a_byte_is_written() -> TestResult {
    let directory = output()?;
    let root = StoreDirectory::new();
    let limits = Limits {
        object_bytes: u64::MAX,
        ..Limits::default()
    };
    let store = LocalStore::open(
        root.path(),
        StoreOptions {
            limits,
            ..StoreOptions::new(|| 1)
        },
    )?;
    fs::File::create(directory.path().join("out/sparse"))?.set_len(15 << 40)?;
    let error = add(&store, directory.path()).unwrap_err();
    assert!(
        matches!(error, AddError::NoSpace { needed, available, .. } if needed >= 15 << 40 && available < needed),
        "{error}"
    );
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn an_endless_stream_ends_at_the_limit() -> TestResult {
    let root = StoreDirectory::new();
    let limits = Limits {
        object_bytes: 1 << 20,
        object_nodes: 3,
    };
    let store = LocalStore::open(
        root.path(),
        StoreOptions {
            limits,
            ..StoreOptions::new(|| 1)
        },
    )?;
    let source = AddSource::Reader {
        reader: Box::new(io::repeat(0)),
        executable: false,
    };
    let batch = AddBatch {
        objects: vec![AddObject::new("endless".parse()?, source)],
        ..AddBatch::default()
    };
    assert!(matches!(
        store.add(batch),
        Err(AddError::TooLarge {
            limit: 1_048_576,
            ..
        })
    ));
    let many = memory_tree(&[
        ("a", MemoryNode::file("")),
        ("b", MemoryNode::file("")),
        ("c", MemoryNode::file("")),
    ]);
    let batch = AddBatch {
        objects: vec![AddObject::new("many".parse()?, AddSource::Tree(many))],
        ..AddBatch::default()
    };
    assert!(matches!(
        store.add(batch),
        Err(AddError::TooManyNodes { limit: 3, .. })
    ));
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_stream_that_breaks_leaves_nothing() -> TestResult {
    struct Broken(u8);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 3 {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            } else {
                Ok(buffer.len())
            }
        }
    }
    let store = TempStore::new();
    let source = AddSource::Reader {
        reader: Box::new(Broken(0)),
        executable: false,
    };
    let batch = AddBatch {
        objects: vec![AddObject::new("broken".parse()?, source)],
        ..AddBatch::default()
    };
    assert_eq!(
        store.add(batch).unwrap_err().to_string(),
        "cannot read the bytes of `broken`"
    );
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn parts_of_the_scratch_path_that_cannot_be_replaced_are_refused_with_place() -> TestResult {
    let scratch = scratch_path(&"hostile".parse()?, "out").to_string();
    let split = format!("..{}", &scratch[20..28]);
    let utf16: Vec<u8> = scratch.bytes().flat_map(|byte| [byte, 0]).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    io::Write::write_all(&mut gzip, format!("xx{scratch}").as_bytes())?;
    let gzip = gzip.finish()?;
    let cases: [(&str, &[u8], &str); 3] = [
        (
            "split",
            split.as_bytes(),
            "`lib/bad` of `hostile` has a part of the temporary path",
        ),
        (
            "utf16",
            &utf16,
            "`lib/bad` of `hostile` has in UTF-16 the temporary path",
        ),
        (
            "gzip",
            &gzip,
            "`lib/bad` of `hostile` has in compressed form the temporary path",
        ),
    ];
    for (case, bytes, message) in cases {
        let found = refusal(|out| fs::write(out.join("lib/bad"), bytes))?;
        assert!(found.starts_with(message), "{case}: {found}");
    }
    let named = refusal(|out| fs::write(out.join(format!("lib/{scratch}")), ""))?;
    assert!(
        named.starts_with(&format!(
            "the name of `lib/{scratch}` of `hostile` has a part of the temporary path"
        )),
        "{named}"
    );
    Ok(())
}

#[test]
fn a_forbidden_reference_is_refused_with_place() -> TestResult {
    let store = TempStore::new();
    let compiler = store.add_tree("gcc", MemoryNode::file("compiler"), &[])?;
    let tree = memory_tree(&[(
        "bin/x",
        MemoryNode::program(format!("with {}", compiler.path.to_logical())),
    )]);
    let object = AddObject {
        forbidden_references: vec![compiler.path.clone()],
        ..AddObject::new("x".parse()?, AddSource::Tree(tree))
    };
    let batch = AddBatch {
        objects: vec![object],
        candidates: vec![(compiler.path.clone(), compiler.id)],
        ..AddBatch::default()
    };
    let message = store.add(batch).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "`x` must not refer to `{}`, but `bin/x` does at offset 17",
            compiler.path
        )
    );
    Ok(())
}

#[test]
fn a_reference_to_what_is_not_valid_is_refused() -> TestResult {
    let (store, elsewhere) = (TempStore::new(), TempStore::new());
    let stranger = elsewhere.add_tree("stranger", MemoryNode::file("x"), &[])?;
    let error = store
        .add_tree(
            "x",
            MemoryNode::file(stranger.path.to_string()),
            &[&stranger],
        )
        .unwrap_err();
    let reference = &stranger.path;
    assert!(
        error.to_string().ends_with(&format!(
            "cannot be registered: `{reference}`, which it refers to, is not valid"
        )),
        "{error}"
    );
    let object = AddObject {
        extra_references: vec![reference.clone()],
        ..AddObject::new("y".parse()?, AddSource::Tree(MemoryNode::directory()))
    };
    let error = store
        .add(AddBatch {
            objects: vec![object],
            ..AddBatch::default()
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`y` cannot refer to `{reference}`, which is not valid in this store")
    );
    assert_eq!(find_faults(&*store.reopen()?), Vec::<String>::new());
    Ok(())
}
