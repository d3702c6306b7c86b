//! The apps of `fixtures/apps`, as the scenarios use them.

use std::path::Path;
use std::process::Command;

use crate::{Finished, TestEnv, run};

impl TestEnv {
    /// Copies the app `name` of `tests/fixtures/apps` into the project.
    pub fn copy_app(&self, name: &str) {
        self.copy_fixture(&format!("apps/{name}"));
    }

    /// Copies a directory of `tests/fixtures` into the project.
    pub fn copy_fixture(&self, place: &str) {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(fixtures.join(place).join("."))
            .arg(self.path("project"))
            .status();
        assert!(copied.expect("cp is there").success());
    }

    /// Runs `pith`, which may have crates from where this user's cargo has them from.
    pub fn pith_with_crates(&self, arguments: &[&str]) -> Finished {
        let mut command = self.command(arguments);
        if let Some(home) = std::env::home_dir() {
            let cargo =
                std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), Into::into);
            command.env("CARGO_HOME", cargo);
        }
        run(&mut command)
    }
}
