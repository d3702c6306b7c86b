//! Images whose programs start, and what is said of those that would not.

use std::error::Error;

use pack::{FileSpec, Image, ImageSpec, PackOptions, User};
use store::{MemoryNode, PathInfo, testing::TempStore};

use crate::fixture::{Fixture, TestResult};

/// `e_machine` of the two processors.
const AMD64: u16 = 62;
const ARM64: u16 = 183;

/// What an ELF file asks for.
struct Elf<'a> {
    machine: u16,
    interpreter: Option<&'a str>,
    run_path: Option<&'a str>,
    needed: &'a [&'a str],
}

const STATIC: Elf<'static> = Elf {
    machine: AMD64,
    interpreter: None,
    run_path: None,
    needed: &[],
};

impl Elf<'_> {
    /// The file: header, three program headers, the dynamic table and its strings; all of it is loaded at address 0.
    fn bytes(&self) -> Vec<u8> {
        const PROGRAM_HEADERS: usize = 64 + 3 * 56;
        let mut strings = vec![0_u8];
        let mut add = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let interpreter = self
            .interpreter
            .map(|path| (add(path), path.len() as u64 + 1));
        let mut table: Vec<(u64, u64)> = self.needed.iter().map(|name| (1, add(name))).collect();
        table.extend(self.run_path.map(|path| (29, add(path))));
        let strings_at = (PROGRAM_HEADERS + (table.len() + 2) * 16) as u64;
        table.extend([(5, strings_at), (0, 0)]);

        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        for (value, width) in [
            (3, 2), // a shared object or a program that can lie anywhere
            (u64::from(self.machine), 2),
            (1, 4),
            (0, 8),
            (64, 8), // where the program headers are
            (0, 8),
            (0, 4),
            (64, 2),
            (56, 2),
            (3, 2),
            (0, 6),
        ] {
            bytes.extend(&value.to_le_bytes()[..width]);
        }
        let size = strings_at + strings.len() as u64;
        let (name, length) = interpreter.map_or((0, 0), |(at, length)| (strings_at + at, length));
        for (kind, offset, length) in [
            (1_u32, 0, size),
            (2, PROGRAM_HEADERS as u64, table.len() as u64 * 16),
            (if interpreter.is_some() { 3 } else { 0 }, name, length),
        ] {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(4_u32.to_le_bytes());
            for value in [offset, offset, offset, length, length, 8] {
                bytes.extend(value.to_le_bytes());
            }
        }
        for (tag, value) in table {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(strings);
        bytes
    }
}

/// Adds an object of these files to the store.
fn add(
    store: &TempStore,
    name: &str,
    files: Vec<(&str, MemoryNode)>,
    references: &[&PathInfo],
) -> Result<PathInfo, Box<dyn Error>> {
    let mut tree = MemoryNode::directory();
    for (path, node) in files {
        tree.insert(path, node)?;
    }
    Ok(store.add_tree(name, tree, references)?)
}

/// Why an image of `packages` is not made, each cause after the other; nothing when it is made.
fn problem(
    fixture: &Fixture,
    spec: &ImageSpec,
    packages: &[&PathInfo],
) -> Result<String, Box<dyn Error>> {
    let found = problem_with(fixture, spec, packages, &PackOptions::default())?;
    let stable = PackOptions {
        stable_paths: true,
        ..PackOptions::default()
    };
    // It is the image that starts or does not, with other digests in it, too.
    assert_eq!(problem_with(fixture, spec, packages, &stable)?, found);
    Ok(found)
}

fn problem_with(
    fixture: &Fixture,
    spec: &ImageSpec,
    packages: &[&PathInfo],
    options: &PackOptions,
) -> Result<String, Box<dyn Error>> {
    let roots: Vec<_> = packages.iter().map(|info| info.path.clone()).collect();
    let Err(error) = Image::new(&fixture.store, &roots, spec, options, &|_| ()) else {
        return Ok(String::new());
    };
    assert_eq!(error.to_string(), "the image would not start");
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    // Store paths without their digests.
    let text = causes.join(": ");
    let mut parts = text.split("/pith/store/");
    let first = parts.next().unwrap_or_default().to_owned();
    Ok(parts.fold(first, |all, part| all + &part[41..]))
}

fn library(needed: &[&str]) -> MemoryNode {
    MemoryNode::file(Elf { needed, ..STATIC }.bytes())
}

/// Adds a package whose program needs `needed`, with a loader and its C library in another one.
fn add_app(
    fixture: &Fixture,
    needed: &[&str],
    run_path: &str,
    more: Vec<(&str, MemoryNode)>,
) -> Result<PathInfo, Box<dyn Error>> {
    let files = vec![
        ("lib/ld.so", MemoryNode::program(STATIC.bytes())),
        ("lib/libc.so.6", library(&["ld.so"])),
    ];
    let libc = add(&fixture.store, "libc", files, &[])?;
    let program = Elf {
        interpreter: Some(&format!("{}/lib/ld.so", libc.path.to_logical())),
        run_path: Some(run_path),
        needed,
        ..STATIC
    };
    let program = ("bin/app", MemoryNode::program(program.bytes()));
    add(
        &fixture.store,
        "app",
        [vec![program], more].concat(),
        &[&libc],
    )
}

/// A package with a program that could start, a large file, and small ones of which two are the same.
pub(crate) fn startable() -> Result<(Fixture, PathInfo), Box<dyn Error>> {
    let fixture = Fixture::new()?;
    let numbers: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let more = vec![
        ("share/numbers", MemoryNode::file(numbers)),
        ("share/one", MemoryNode::file("same")),
        ("share/two", MemoryNode::file("same")),
        ("share/none", MemoryNode::file("")),
        (
            "share/a-b",
            MemoryNode::file("between `a` and what is in it"),
        ),
        ("share/a/deep", MemoryNode::symlink("../one")?),
    ];
    let app = add_app(&fixture, &["libc.so.6"], "/nowhere", more)?;
    Ok((fixture, app))
}

#[test]
fn libraries_are_found_where_the_loader_looks() -> TestResult {
    let fixture = Fixture::new()?;
    let spec = ImageSpec::new("app".parse()?);
    // Beside the loader, by the run path, and through a link.
    let needed = ["libc.so.6", "libown.so.1"];
    let own = vec![
        (
            "lib/libown.so.1",
            MemoryNode::symlink("real/libown.so.1.2")?,
        ),
        ("lib/real/libown.so.1.2", library(&["libc.so.6"])),
    ];
    let app = add_app(&fixture, &needed, "$ORIGIN/../lib", own)?;
    assert_eq!(problem(&fixture, &spec, &[&app])?, "");
    // By a variable of the image.
    let needed = ["libdeep.so"];
    let app = add_app(&fixture, &needed, "/nowhere", Vec::new())?;
    let files = vec![("plug/libdeep.so", library(&[]))];
    let plug_in = add(&fixture.store, "deep", files, &[])?;
    let mut with_variable = spec.clone();
    let path = format!("/nowhere:{}/plug", plug_in.path.to_logical());
    with_variable.env.insert("LD_LIBRARY_PATH".to_owned(), path);
    assert_eq!(problem(&fixture, &with_variable, &[&app, &plug_in])?, "");
    assert_ne!(problem(&fixture, &spec, &[&app, &plug_in])?, "");
    // By the loader's cache, and in a usual directory.
    for (path, contents) in [
        (
            "/etc/ld.so.cache",
            format!(
                "glibc\0libdeep.so\0{}/plug/libdeep.so\0",
                plug_in.path.to_logical()
            )
            .into_bytes(),
        ),
        ("/usr/lib/libdeep.so", STATIC.bytes()),
    ] {
        let mut with_file = spec.clone();
        let file = FileSpec {
            contents,
            executable: false,
        };
        with_file.files.insert(path.to_owned(), file);
        assert_eq!(problem(&fixture, &with_file, &[&app, &plug_in])?, "");
    }
    Ok(())
}

#[test]
fn a_library_that_is_missing_is_named_with_who_needs_it() -> TestResult {
    let fixture = Fixture::new()?;
    let spec = ImageSpec::new("app".parse()?);
    let arm64 = Elf {
        machine: ARM64,
        ..STATIC
    };
    for (file, library, needed_by) in [
        (None, "libown.so.1", "app/bin/app"),
        // One that is there and is for another processor is passed over.
        (
            Some(MemoryNode::file(arm64.bytes())),
            "libown.so.1",
            "app/bin/app",
        ),
        (
            Some(library(&["libdeep.so"])),
            "libdeep.so",
            "app/lib/libown.so.1",
        ),
    ] {
        let more = file
            .into_iter()
            .map(|file| ("lib/libown.so.1", file))
            .collect();
        let app = add_app(&fixture, &["libown.so.1"], "${ORIGIN}/../lib", more)?;
        let expected = format!(
            "`{needed_by}` needs the library `{library}`, which is not in the image where the loader looks for it"
        );
        assert_eq!(problem(&fixture, &spec, &[&app])?, expected);
    }
    Ok(())
}

#[test]
fn scripts_need_their_interpreters() -> TestResult {
    let fixture = Fixture::new()?;
    let shell = add(
        &fixture.store,
        "shell",
        vec![
            ("bin/sh", MemoryNode::program(STATIC.bytes())),
            ("bin/env", MemoryNode::program(STATIC.bytes())),
            ("lib/text", MemoryNode::file("text")),
        ],
        &[],
    )?;
    let at = shell.path.to_logical();
    let script = |line: &str| {
        let files = vec![("bin/app", MemoryNode::program(format!("#!{line}\n")))];
        add(&fixture.store, "app", files, &[&shell])
    };
    let spec = ImageSpec::new("app".parse()?);
    for (line, expected) in [
        (format!("{at}/bin/sh -e"), ""),
        (
            format!(" {at}/bin/env -S A=1 app2"),
            "needs its interpreter `shell/bin/env`: no directory of PATH (/bin) has the program `app2`",
        ),
        (format!("{at}/bin/env sh"), ""),
        (
            "/usr/bin/python3".to_owned(),
            "needs its interpreter `/usr/bin/python3`: `/usr/bin/python3` is not in the image",
        ),
        (
            format!("{at}/bin/none"),
            "needs its interpreter `shell/bin/none`: `shell/bin/none` is not in the image",
        ),
        (
            format!("{at}/lib/text"),
            "needs its interpreter `shell/lib/text`: `shell/lib/text` is not executable",
        ),
        (
            format!("{at}/bin"),
            "needs its interpreter `shell/bin`: `shell/bin` is a directory",
        ),
    ] {
        let app = script(&line)?;
        let found = problem(&fixture, &spec, &[&app, &shell])?;
        let expected = if expected.is_empty() {
            String::new()
        } else {
            format!("`/bin/app` {expected}")
        };
        assert_eq!(found, expected, "{line}");
    }
    // Two scripts that start each other.
    let mut endless = ImageSpec {
        entrypoint: Some(vec!["/a".to_owned()]),
        ..fixture.spec()
    };
    for (path, other) in [("/a", "/b"), ("/b", "/a")] {
        let contents = format!("#!{other}\n").into_bytes();
        endless.files.insert(
            path.to_owned(),
            FileSpec {
                contents,
                executable: true,
            },
        );
    }
    let found = problem(&fixture, &endless, &[&shell])?;
    assert!(
        found.ends_with("has more interpreters of interpreters than a kernel follows"),
        "{found}"
    );
    Ok(())
}

#[test]
fn what_is_asked_for_must_be_there_and_be_a_program() -> TestResult {
    let fixture = Fixture::new()?;
    let tools = add(
        &fixture.store,
        "tools",
        vec![
            ("bin/tool", MemoryNode::program(STATIC.bytes())),
            ("bin/text", MemoryNode::program("text")),
            ("bin/loop", MemoryNode::symlink("loop")?),
            (
                "lib/arm",
                MemoryNode::program(
                    Elf {
                        machine: ARM64,
                        ..STATIC
                    }
                    .bytes(),
                ),
            ),
        ],
        &[],
    )?;
    let at = tools.path.to_logical();
    for (command, directory, expected) in [
        ("tool", "/", ""),
        ("/bin/../bin/tool", "/", ""),
        ("./tool", "/bin", ""),
        ("./tool", "/", "`/./tool` is not in the image"),
        (
            "none",
            "/",
            "no directory of PATH (/bin) has the program `none`",
        ),
        ("/bin/none", "/", "`/bin/none` is not in the image"),
        ("/bin/loop", "/", "`/bin/loop` is not in the image"),
        ("/etc", "/", "`/etc` is a directory"),
        ("/etc/passwd", "/", "`/etc/passwd` is not executable"),
        (
            "/bin/text",
            "/",
            "`/bin/text` is neither an ELF program nor a script that begins with `#!`",
        ),
        ("/pith/store", "/", "`/pith/store` is a directory"),
        (
            &format!("{at}/lib/arm"),
            "/",
            "`tools/lib/arm` is for arm64, and the image is for linux/amd64",
        ),
    ] {
        for entrypoint in [true, false] {
            let words = vec![command.to_owned()];
            let spec = ImageSpec {
                // Without an entry point, the arguments are the command.
                entrypoint: Some(if entrypoint {
                    words.clone()
                } else {
                    Vec::new()
                }),
                cmd: if entrypoint { Vec::new() } else { words },
                working_directory: Some(directory.to_owned()),
                ..fixture.spec()
            };
            assert_eq!(problem(&fixture, &spec, &[&tools])?, expected, "{command}");
        }
    }
    // What runs nothing may lack everything.
    let nothing = ImageSpec {
        entrypoint: Some(Vec::new()),
        ..fixture.spec()
    };
    assert_eq!(problem(&fixture, &nothing, &[&tools])?, "");
    Ok(())
}

#[test]
fn what_runtimes_refuse_before_they_execute_anything_is_told() -> TestResult {
    let (fixture, app) = startable()?;
    let found = |change: &dyn Fn(&mut ImageSpec)| {
        let mut spec = ImageSpec::new("app".parse()?);
        change(&mut spec);
        problem(&fixture, &spec, &[&app])
    };
    for user in ["4294967295:1", "1:4294967295"] {
        let user: User = user.parse()?;
        assert!(
            found(&|spec| spec.user = Some(user.clone()))?
                .contains("has a number that is nobody's")
        );
    }
    let user: User = "4294967294:1".parse()?;
    assert_eq!(found(&|spec| spec.user = Some(user.clone()))?, "");
    assert_eq!(
        found(&|spec| spec.stop_signal = Some("SIGFOO".to_owned()))?,
        "the signal `SIGFOO`, which is to stop the program, does not exist"
    );
    assert_eq!(
        found(&|spec| spec.stop_signal = Some("SIGRTMIN+3".to_owned()))?,
        ""
    );
    assert_eq!(
        found(&|spec| spec.working_directory = Some("/bin/app".to_owned()))?,
        "the working directory `/bin/app` cannot be: `/bin/app` is a file"
    );
    for directory in ["/bin", "/made/by/the/runtime"] {
        assert_eq!(
            found(&|spec| spec.working_directory = Some(directory.to_owned()))?,
            ""
        );
    }
    Ok(())
}
