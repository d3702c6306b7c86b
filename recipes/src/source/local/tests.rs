//! Surveys, contents and copies together, on files in a temporary directory.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::survey::EntryKind;
use super::{Contents, KnownFiles, LocalError, LocalRules, Survey};
use crate::source::Glob;

/// A moment after all that tests write.
const LATER: i64 = i64::MAX;

/// A directory `from` with these files; it goes with the first.
fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("from");
    fs::create_dir(&from).unwrap();
    for (path, text) in files {
        write(&from, path, text);
    }
    (directory, from)
}

fn write(from: &Path, path: &str, text: &str) {
    let path = from.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    let patterns = patterns.iter();
    patterns.map(|pattern| pattern.parse().unwrap()).collect()
}

fn rules<'a>(project: &'a Path, exclude: &'a [Glob], allow_secrets: &'a [Glob]) -> LocalRules<'a> {
    LocalRules {
        project,
        store: Path::new("/srv/store"),
        exclude,
        allow_secrets,
    }
}

fn survey(from: &Path) -> Result<Survey, LocalError> {
    Survey::new(from, &rules(from, &[], &[]))
}

fn contents(from: &Path, known: &KnownFiles, listed: i64) -> Result<Contents, LocalError> {
    survey(from)?.contents(&rules(from, &[], &[]), known, listed)
}

/// What is left, without directories.
fn files(survey: &Survey) -> Vec<String> {
    let entries = survey.entries.iter();
    entries
        .filter(|entry| !matches!(entry.kind, EntryKind::Directory))
        .map(|entry| entry.path.display().to_string())
        .collect()
}

/// What is left of a project with these files, all at once in one line.
fn left(of: &[(&str, &str)]) -> String {
    let (_directory, from) = project(of);
    match survey(&from) {
        Ok(survey) => files(&survey).join(" "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_excluded_stays_behind_at_any_depth() {
    let (directory, from) = project(&[
        ("target/x", ""),
        ("src/target/x", ""),
        ("src/a.o", ""),
        ("src/a.c", "x"),
        ("doc/a/b", ""),
        ("doc/c", ""),
    ]);
    symlink("src", from.join("link")).unwrap();
    let exclude = globs(&["target", "*.o", "doc/a"]);
    let survey = Survey::new(&from, &rules(&from, &exclude, &[])).unwrap();
    assert_eq!(files(&survey), ["doc/c", "link", "src/a.c"]);
    let to = directory.path().join("to");
    survey.copy(&to).unwrap();
    assert_eq!(fs::read_to_string(to.join("link/a.c")).unwrap(), "x");
    assert!(!to.join("target").exists());
}

#[test]
fn ignore_files_mean_what_they_mean_to_git() {
    for (files, expected) in [
        // A pattern without a slash is meant for any depth, one with a slash for its own directory.
        (
            &[
                (".gitignore", "*.o\n/a\n"),
                ("a", ""),
                ("b/a", ""),
                ("b/c.o", ""),
            ][..],
            ".gitignore b/a",
        ),
        // A slash at the end is for directories only.
        (
            &[(".gitignore", "x/\n"), ("x/a", ""), ("b/x", "")][..],
            ".gitignore b/x",
        ),
        // The last line decides, the deeper file before the upper.
        (
            &[
                (".gitignore", "*.log\n!a.log\n"),
                ("a.log", ""),
                ("b.log", ""),
            ][..],
            ".gitignore a.log",
        ),
        (
            &[
                (".gitignore", "*.log\n"),
                ("d/.gitignore", "!a.log\n"),
                ("d/a.log", ""),
                ("d/b.log", ""),
            ][..],
            ".gitignore d/.gitignore d/a.log",
        ),
        // Nothing in an ignored directory comes back.
        (
            &[(".gitignore", "d\n!d/a\n"), ("d/a", ""), ("e", "")][..],
            ".gitignore e",
        ),
        (
            &[
                (".gitignore", "# note\n\n\\#a\nb \n**/gen/*.c\n\\!c\r\n"),
                ("#a", ""),
                ("b", ""),
                ("x/gen/y.c", ""),
                ("!c", ""),
                ("d", ""),
            ][..],
            ".gitignore d",
        ),
        // `.pithignore` is the stronger, from wherever.
        (
            &[
                (".gitignore", "a\n"),
                (".pithignore", "!a\nb\n"),
                ("a", ""),
                ("d/.gitignore", "!b\n"),
                ("d/b", ""),
            ][..],
            ".gitignore a d/.gitignore",
        ),
        // What is Pith's own, at the top and unless it is wanted; version control's own, always.
        (
            &[
                ("pith.star", ""),
                ("debian.lock", ""),
                ("pith.toml", ""),
                ("d/pith.star", ""),
                (".git/config", ""),
                ("m/.git", ""),
            ][..],
            "d/pith.star",
        ),
        (
            &[
                (".pithignore", "!pith.star\n!.git\n"),
                ("pith.star", ""),
                (".git/config", ""),
            ][..],
            "pith.star",
        ),
    ] {
        assert_eq!(left(files), expected, "{files:?}");
    }
}

#[test]
fn ignore_files_count_from_the_project_down() {
    let (_directory, project) = project(&[
        (".gitignore", "*.log\n/app/out\n"),
        ("app/.gitignore", "!kept.log\n"),
        ("app/a.log", ""),
        ("app/kept.log", ""),
        ("app/out/x", ""),
        ("app/main.c", ""),
    ]);
    fs::write(project.with_file_name(".gitignore"), "main.c\n").unwrap();
    write(&project, "app/.git/info/exclude", "main.c\n");
    let survey = Survey::new(&project.join("app"), &rules(&project, &[], &[])).unwrap();
    assert_eq!(files(&survey), [".gitignore", "kept.log", "main.c"]);
}

#[test]
fn a_directory_of_which_nothing_is_left_is_left_out_and_an_empty_one_stays() {
    let (_directory, from) = project(&[(".gitignore", "*.log\n"), ("logs/deep/a.log", "")]);
    fs::create_dir(from.join("empty")).unwrap();
    let survey = survey(&from).unwrap();
    let paths: Vec<&Path> = survey
        .entries
        .iter()
        .map(|entry| entry.path.as_path())
        .collect();
    assert_eq!(paths, ["", ".gitignore", "empty"].map(Path::new));
}

#[test]
fn a_rule_that_leaves_nothing_is_named_and_an_empty_directory_is_taken() {
    let (_directory, from) = project(&[("a", "")]);
    let exclude = globs(&["*"]);
    let error = Survey::new(&from, &rules(&from, &exclude, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "nothing is left of the source `{}`: all that lies there is ignored or excluded",
            from.display()
        )
    );
    fs::remove_file(from.join("a")).unwrap();
    assert_eq!(survey(&from).unwrap().entries.len(), 1);
}

#[test]
fn an_ignore_file_with_a_wrong_line_is_named_with_the_line() {
    let (_directory, from) = project(&[("d/.gitignore", "*.o\n[z-a]\n")]);
    let error = survey(&from).unwrap_err();
    let file = from.join("d/.gitignore");
    assert_eq!(
        error.to_string(),
        format!(
            "line 2 of the ignore file `{}` is no pattern",
            file.display()
        )
    );
}

#[test]
fn an_ignore_file_that_lies_elsewhere_is_refused() {
    let (_directory, from) = project(&[("a", "")]);
    symlink("/etc/hostname", from.join(".gitignore")).unwrap();
    let error = survey(&from).unwrap_err();
    assert!(matches!(error, LocalError::IgnoreLink { .. }), "{error}");
}

#[test]
fn links_are_kept_and_those_into_the_store_left_out() {
    let (_directory, from) = project(&[("a", "")]);
    for (target, name) in [
        ("/pith/store/x-app", "result"),
        ("/srv/store/x-app", "result-2"),
        ("/srv/storehouse", "house"),
        ("/nowhere", "dangling"),
        ("..", "up"),
    ] {
        symlink(target, from.join(name)).unwrap();
    }
    assert_eq!(
        files(&survey(&from).unwrap()),
        ["a", "dangling", "house", "up"]
    );
}

#[test]
fn secrets_are_refused_all_at_once_unless_allowed_or_left_out() {
    let (_directory, from) = project(&[
        (".env", "A=1\n"),
        ("deploy/key.pem", "-----BEGIN PRIVATE KEY-----\n"),
        ("local/.env", "A=1\n"),
        (".gitignore", "local\n"),
    ]);
    let known = KnownFiles::default();
    let error = contents(&from, &known, LATER).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the source `{}` has what looks like secrets: `.env` (settings of one machine), `deploy/key.pem` (a private key)",
            from.display()
        )
    );
    for (exclude, allow) in [
        (&[][..], &[".env", "deploy/*.pem"][..]),
        (&[".env", "*.pem"], &[]),
    ] {
        let (exclude, allow) = (globs(exclude), globs(allow));
        let rules = rules(&from, &exclude, &allow);
        let survey = Survey::new(&from, &rules).unwrap();
        survey.contents(&rules, &known, LATER).unwrap();
    }
    let single = from.join(".env");
    assert!(contents(&single, &known, LATER).is_ok(), "named by itself");
}

#[test]
fn what_is_known_is_not_read_again_and_what_changed_is() {
    let (_directory, from) = project(&[("a", "1"), ("b", "1"), ("d/c", "1")]);
    let first = contents(&from, &KnownFiles::default(), LATER).unwrap();
    assert_eq!(first.files_read, 3);
    let second = contents(&from, &first.known, LATER).unwrap();
    assert_eq!((second.files_read, &second.root), (0, &first.root));
    assert_eq!(second.known, first.known);
    fs::write(from.join("b"), "22").unwrap();
    let third = contents(&from, &second.known, LATER).unwrap();
    assert_eq!(third.files_read, 1);
    assert_ne!(third.root, first.root);
    fs::rename(from.join("b"), from.join("e")).unwrap();
    assert_eq!(contents(&from, &third.known, LATER).unwrap().files_read, 1);
}

#[test]
fn a_file_as_new_as_the_look_at_it_is_read_again() {
    let (_directory, from) = project(&[("old", "1"), ("new", "1"), ("future", "1")]);
    let touch = |name: &str, seconds: i64| {
        let time = nix::sys::time::TimeVal::new(seconds, 0);
        nix::sys::stat::utimes(&from.join(name), &time, &time).unwrap();
    };
    touch("future", 1 << 33);
    // Nobody can set when a file's times were set: that is now, or a little before.
    let now = fs::metadata(from.join("future")).unwrap();
    let now = std::os::unix::fs::MetadataExt::ctime(&now);
    let at_once = contents(&from, &KnownFiles::default(), now).unwrap();
    assert_eq!(contents(&from, &at_once.known, now).unwrap().files_read, 3);
    let soon = contents(&from, &KnownFiles::default(), now + 60).unwrap();
    assert_eq!(
        contents(&from, &soon.known, now + 60).unwrap().files_read,
        1
    );
}

#[test]
fn the_contents_are_those_of_the_object_that_the_copy_becomes() {
    let (directory, from) = project(&[("a", "1"), ("bin/run", "#!/bin/sh\n"), ("d/e/f", "")]);
    fs::set_permissions(from.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(from.join("empty")).unwrap();
    symlink("a", from.join("link")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\n");
    File::create(from.join(odd)).unwrap();
    let to = directory.path().join("to");
    survey(&from).unwrap().copy(&to).unwrap();
    let of = |path: &Path| contents(path, &KnownFiles::default(), LATER).unwrap().root;
    assert_eq!(of(&to), of(&from));
    assert!(to.join(odd).exists() && to.join("empty").is_dir());
    let before = of(&from);
    fs::set_permissions(from.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(of(&from), before);
}

#[test]
fn a_file_that_changed_since_it_was_listed_is_neither_hashed_nor_copied() {
    let (directory, from) = project(&[("a", "1")]);
    let listed = survey(&from).unwrap();
    let is_changed = |error: LocalError| matches!(error, LocalError::Changed { .. });
    let rules = rules(&from, &[], &[]);
    let hash = || listed.contents(&rules, &KnownFiles::default(), LATER);
    fs::write(from.join("a"), "22").unwrap();
    assert!(is_changed(hash().unwrap_err()));
    assert!(is_changed(
        listed.copy(&directory.path().join("to")).unwrap_err()
    ));
    fs::remove_file(from.join("a")).unwrap();
    assert!(is_changed(hash().unwrap_err()));
    // It would be waited for if it were opened as a file is.
    nix::unistd::mkfifo(&from.join("a"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(is_changed(hash().unwrap_err()));
}

#[test]
fn what_is_no_file_is_named_and_not_read() {
    let (_directory, from) = project(&[("a", "")]);
    nix::unistd::mkfifo(&from.join("key.pem"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = survey(&from).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("/key.pem` is neither file, directory nor symbolic link"),
        "{error}"
    );
    fs::write(from.join(".gitignore"), "*.pem\n").unwrap();
    assert!(survey(&from).is_ok());
}

#[test]
fn directories_deeper_than_a_store_takes_are_named() {
    let (_directory, from) = project(&[]);
    fs::create_dir_all(from.join("d/".repeat(70))).unwrap();
    let error = survey(&from).unwrap_err();
    assert!(matches!(error, LocalError::Tree { .. }), "{error}");
}
