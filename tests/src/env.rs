//! A temporary home, project and store, and the binary run in them with a cleared environment.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A place for one scenario.
#[derive(Debug)]
pub struct TestEnv {
    directory: Place,
    store: PathBuf,
    user: Option<u32>,
}

/// A temporary directory with a store in it, whose directories an ordinary user has to make writable before they can be removed.
#[derive(Debug)]
struct Place(TempDir);

impl Place {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory; no test depends on it.
        let Ok(entries) = fs::read_dir(self.path()) else {
            return;
        };
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        for entry in entries.flatten().filter(is_directory) {
            let _writable: std::io::Result<()> = store::testing::make_writable(&entry.path());
        }
    }
}

/// How a command ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit status, or 128 + the signal that ended it.
    pub status: i32,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
}

impl Finished {
    /// Panics with everything that was said unless the command ended with `status`.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// As `expect_status(0)`.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        self.expect_status(0)
    }

    /// The one line on standard output.
    #[track_caller]
    pub fn line(&self) -> &str {
        let mut lines = self.stdout.lines();
        let line = lines.next().unwrap_or_default();
        assert_eq!(lines.next(), None, "more than one line:\n{}", self.stdout);
        line
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in\n{}", self.stdout))
    }
}

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether what takes long is tested too: `tests/run --full`.
#[must_use]
pub fn is_full() -> bool {
    std::env::var_os("PITH_TEST_FULL").is_some_and(|value| !value.is_empty())
}

/// A store that all scenarios of this user share and that outlives them: what is in it is
/// addressed by its content, so a scenario cannot see who built it.
#[must_use]
pub fn shared_store() -> PathBuf {
    let store = target_directory()
        .join(format!("tests-{}", nix::unistd::geteuid()))
        .join("store");
    fs::create_dir_all(&store).expect("the target directory is writable");
    store
}

/// The directory that cargo builds into, which this very program lies in.
fn target_directory() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    program
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
        .expect("tests run from cargo's target directory")
        .to_path_buf()
}

/// The release binary; `tests/run` builds it first.
#[must_use]
pub fn binary() -> PathBuf {
    let binary = target_directory().join("release/pith");
    assert!(
        binary.is_file(),
        "build it first: cargo build --release -p cli"
    );
    binary
}

impl TestEnv {
    /// A place with an empty store.
    ///
    /// Its mirrors are those that the machine itself knows of, and lines as `npm = ["URL"]` in `PITH_TEST_MIRRORS`.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("pith-test-")
            .tempdir_in("/var/tmp")
            .expect("/var/tmp is writable");
        // Another user of the same scenario must be able to come in.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        for name in ["home", "project", "collection"] {
            fs::create_dir(directory.path().join(name)).expect("the directory is new");
        }
        let store = directory.path().join("pith");
        let env = Self {
            directory: Place(directory),
            store,
            user: None,
        };
        if let Ok(mirrors) = std::env::var("PITH_TEST_MIRRORS") {
            env.write(
                "home/.config/pith/config.toml",
                &format!("[mirrors]\n{mirrors}\n"),
            );
        }
        env
    }

    /// The same place with the store that all scenarios share.
    #[must_use]
    pub fn with_shared_store() -> Self {
        Self {
            store: shared_store(),
            ..Self::new()
        }
    }

    /// The same place with the store in `PITH_TEST_ELSEWHERE`, where that names a directory: what was built there stays, so
    /// a comparison of everything, which takes hours, goes on where it ended. The directory becomes that of the scenario's user.
    #[must_use]
    pub fn with_lasting_store(mut self) -> Self {
        if let Some(store) = std::env::var_os("PITH_TEST_ELSEWHERE") {
            self.store = store.into();
            fs::create_dir_all(&self.store).expect("PITH_TEST_ELSEWHERE can be written");
            std::os::unix::fs::chown(&self.store, self.user, self.user)
                .expect("PITH_TEST_ELSEWHERE is ours");
        }
        self
    }

    /// The same place with a store of its own that has the bootstrap binaries, so that things can be built in it, and collected.
    ///
    /// They are copied from the shared store, with what is remembered of where they came from; the first command makes a database of that. The link
    /// `project/seed` keeps them.
    #[must_use]
    pub fn with_seed() -> Self {
        let shared = Self::with_shared_store();
        let seed = shared.pith(&["build", "seed", "-q"]).expect_success();
        let name = seed.line().strip_prefix("/pith/store/");
        let name = name.expect("it is a store path");
        let (digest, _) = name.split_once('-').expect("it has a name");
        let env = Self::new();
        fs::create_dir_all(env.store.join("store")).expect("the place is ours");
        let object = Command::new("cp")
            .arg("-a")
            .arg(shared.store.join("store").join(name))
            .arg(env.store.join("store"))
            .status();
        assert!(object.expect("cp is there").success());
        let read = |directory: &Path| fs::read_dir(directory).expect("a store can be listed");
        for shard in read(&shared.store.join("var/meta")) {
            let shard = shard.expect("a store can be listed").path();
            for record in read(&shard) {
                let record = record.expect("a store can be listed").path();
                let file = record.file_name().and_then(OsStr::to_str);
                let file = file.expect("names of records are ASCII");
                let is_realisation = file
                    .rsplit_once('.')
                    .is_some_and(|(_, key)| key.len() == 16);
                if file == digest || is_realisation {
                    let place = record.strip_prefix(&shared.store);
                    let copy = env.store.join(place.expect("it was listed there"));
                    fs::create_dir_all(copy.parent().expect("it is in a shard"))
                        .expect("the place is ours");
                    fs::copy(&record, copy).expect("the disk has room");
                }
            }
        }
        env.pith(&["build", "seed", "-q", "-o", "seed", "--offline"])
            .expect_success();
        env
    }

    /// Runs every command from now on as the unprivileged user `uid`, who owns the place and has a copy of the binary in
    /// it: that user may not be able to reach the one in the target directory. Only root can.
    #[must_use]
    pub fn as_user(mut self, uid: u32) -> Self {
        for name in ["", "home", "project", "collection"] {
            let path = self.directory.path().join(name);
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("only root can give away");
        }
        let binary = fs::File::open(binary()).expect("it was built");
        install(binary, &self.path("pith-binary"));
        self.user = Some(uid);
        self
    }

    /// The root of the store.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// A file or directory of the scenario.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the scenario, with the directories above it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("names are relative")).expect("the place is ours");
        fs::write(&path, text).expect("the place is ours");
    }

    /// Writes a script of the scenario that can be executed, with the directories above it.
    pub fn write_script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("names are relative")).expect("the place is ours");
        let mut file = tempfile::tempfile().expect("the disk has room");
        let written = file.write_all(text.as_bytes()).and_then(|()| file.rewind());
        written.expect("the disk has room");
        install(file, &path);
    }

    /// The `pith` command, in the project directory, with nothing of this process's environment.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = match self.user {
            None => self.program(&binary()),
            Some(_) => self.program(&self.path("pith-binary")),
        };
        command.args(arguments);
        command
    }

    /// The `pith` command as another one starts it, which gets it after its own arguments.
    #[must_use]
    pub fn command_under<S: AsRef<OsStr>>(&self, outer: &[&str], arguments: &[S]) -> Command {
        let inner = self.command(arguments);
        let (program, own) = outer.split_first().expect("another command is given");
        let mut command = Command::new(program);
        command
            .args(own)
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(self.path("project"))
            .env_clear()
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null());
        command
    }

    /// Another program in the same place, by the same user and with the same environment.
    #[must_use]
    pub fn program(&self, program: &Path) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(uid) => {
                let mut command = Command::new("setpriv");
                command
                    .args([
                        format!("--reuid={uid}"),
                        format!("--regid={uid}"),
                        "--clear-groups".into(),
                        "--".into(),
                    ])
                    .arg(program);
                command
            }
        };
        command
            .current_dir(self.path("project"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.path("home"))
            .env("PITH_ROOT", &self.store)
            .stdin(Stdio::null());
        command
    }

    /// Runs `pith` to its end.
    #[must_use]
    pub fn pith<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        run(&mut self.command(arguments))
    }

    /// The store paths of what `target` needs when it runs, itself included, as `pith tree` tells with these flags.
    #[must_use]
    pub fn closure(&self, target: &str, flags: &[&str]) -> Vec<String> {
        let tree = self.pith(&[&["tree", target, "--json", "-q"], flags].concat());
        let tree = tree.expect_success().json();
        let objects = tree["objects"].as_array().expect("a list").iter();
        objects
            .map(|one| one["path"].as_str().expect("a path").to_owned())
            .collect()
    }

    /// Runs another program to its end, in the scenario's directory.
    #[must_use]
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Finished {
        run(Command::new(program)
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null()))
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

/// Looks at a process until it has ended or `limit` looks are done; returns how many were.
///
/// # Panics
/// When it is no child of this process.
pub fn follow(child: &mut Child, limit: usize) -> usize {
    let status = format!("/proc/{}/status", child.id());
    let mut looks = 0;
    while looks < limit && child.try_wait().expect("it is ours").is_none() {
        // What it says does not matter; reading it takes some microseconds.
        drop(fs::read(&status));
        looks += 1;
    }
    looks
}

/// Writes a program by another process. What is open for writing cannot be executed (ETXTBSY), and whatever another thread starts meanwhile would hold it open.
fn install(contents: fs::File, path: &Path) {
    let mut command = Command::new("install");
    command.args(["-m", "755", "/dev/stdin"]).arg(path);
    let installed = command
        .stdin(contents)
        .status()
        .expect("coreutils are there");
    assert!(installed.success(), "{}", path.display());
}

/// Runs `command` to its end and collects what it says.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(command: &mut Command) -> Finished {
    use std::os::unix::process::ExitStatusExt as _;
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{error}: {command:?}"));
    let status = output
        .status
        .code()
        .or_else(|| output.status.signal().map(|signal| 128 + signal))
        .expect("it ended one way or the other");
    Finished {
        status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
