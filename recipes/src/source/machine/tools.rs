//! What npm and pip say where no setting names a registry: each knows one of its own.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::super::Address;
use super::{npm, pip};

/// So wide that pip breaks no address over two lines.
const COLUMNS: &str = "10000";

/// The package managers of this machine, asked for the address behind a mirror.
///
/// None of them uses the network to answer. Each is run once at most, and only when its mirror is wanted, because that
/// takes from 0.3 s (npm) to 1 s (pip). One that is missing or fails knows no address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    search_path: OsString,
    npm: OnceLock<Vec<Address>>,
    pypi: OnceLock<Vec<Address>>,
}

impl Tools {
    /// Returns the tools in the directories of `search_path`, which is written like `PATH`.
    pub fn new(search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            ..Self::default()
        }
    }

    /// Returns the base addresses of `mirror`: one, or none.
    pub(in super::super) fn bases(&self, mirror: &str) -> &[Address] {
        match mirror {
            "npm" => self.npm.get_or_init(|| {
                let said = self.ask("npm", &["config", "get", "registry"]);
                listed(said.as_deref().and_then(npm::answer))
            }),
            "pypi" => self.pypi.get_or_init(|| {
                let said = |program| self.ask(program, &["download", "--help"]);
                let mut answers = ["pip3", "pip"].into_iter().filter_map(said);
                listed(answers.find_map(|text| pip::default_index(&text)))
            }),
            _ => &[],
        }
    }

    /// Runs a program in the root directory, so that no project's settings count, and returns what it printed.
    fn ask(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let output = Command::new(program)
            .args(arguments)
            .env("PATH", &self.search_path)
            .env("COLUMNS", COLUMNS)
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn listed(url: Option<String>) -> Vec<Address> {
    url.map(Address::new).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::super::super::MirrorTable;
    use super::*;

    fn program(directory: &Path, name: &str, script: &str) {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_registry_that_no_setting_names_is_the_tools_own_and_asked_for_once() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let npm = format!(
            "echo \"$PWD $*\" >> '{}'; echo 'npm notice: old' ; echo https://npm.example/",
            log.display()
        );
        program(directory.path(), "npm", &npm);
        program(directory.path(), "pip3", "exit 1");
        program(
            directory.path(),
            "pip",
            "echo \"  -i, --index-url <url>  Base (default https://pip.example/$COLUMNS/simple). More\"",
        );
        let mut table = MirrorTable::new();
        table.ask(Tools::new(directory.path()));
        for _ in 0..2 {
            assert_eq!(
                table.resolve("mirror://npm/a/-/a-1.tgz").unwrap(),
                [Address::new("https://npm.example/a/-/a-1.tgz")]
            );
        }
        assert_eq!(
            fs::read_to_string(&log).unwrap(),
            "/ config get registry\n",
            "asked once, outside of any project"
        );
        assert_eq!(
            table
                .clone()
                .resolve("index+mirror://pypi/simple/a")
                .unwrap(),
            [Address::new("index+https://pip.example/10000/simple/a")]
        );
        assert!(table.resolve("mirror://debian/a").is_err());
    }

    #[test]
    fn a_setting_keeps_the_tool_from_being_asked() {
        let directory = tempfile::tempdir().unwrap();
        program(directory.path(), "npm", "echo https://npm.example/");
        let mut table = MirrorTable::new();
        table.append("npm", Address::new("https://mine.example"));
        table.ask(Tools::new(directory.path()));
        assert_eq!(
            table.resolve("mirror://npm/a").unwrap(),
            [Address::new("https://mine.example/a")]
        );
    }

    #[test]
    fn a_machine_without_tools_knows_no_registry() {
        let directory = tempfile::tempdir().unwrap();
        let mut table = MirrorTable::new();
        table.ask(Tools::new(directory.path()));
        for url in ["mirror://npm/a", "mirror://pypi/a"] {
            assert!(table.resolve(url).is_err(), "{url}");
        }
    }
}
