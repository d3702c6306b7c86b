//! What podman is told where it finds one image: a file of registries and one of logins, in the formats of its own.
//!
//! The registry of the image's name is said to be another one, on this machine: podman asks that one, and keeps the image under its name.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pack::ImageName;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::EngineError;

/// The variable by which podman, and what it starts in a user namespace, reads another file of registries.
const REGISTRIES: &str = "CONTAINERS_REGISTRIES_CONF";
/// The name in the login: the registry looks at the password alone.
const USER: &str = "pith";

/// `containers-registries.conf(5)`, version 2.
#[derive(Serialize)]
struct Registries<'a> {
    registry: [Registry<'a>; 1],
}

#[derive(Serialize)]
struct Registry<'a> {
    prefix: &'a str,
    location: &'a str,
    insecure: bool,
}

/// A directory that nobody else can look into.
pub(super) struct PullFiles {
    directory: TempDir,
    prefix: String,
    location: String,
}

impl PullFiles {
    /// Has podman ask the registry at `address` for what is called `name`.
    pub(super) fn new(name: &ImageName, address: SocketAddr) -> Result<Self, EngineError> {
        let mine = fs::Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().permissions(mine).tempdir();
        let directory = directory.map_err(|source| EngineError::Write {
            path: std::env::temp_dir(),
            source,
        })?;
        let files = Self {
            directory,
            prefix: format!("{}/{}", name.registry(), name.repository()),
            location: format!("{address}/{}", name.repository()),
        };
        files.write(
            &files.registries(),
            &registries(&files.prefix, &files.location),
        )?;
        Ok(files)
    }

    /// Lets podman log in with `token`. Returns the file.
    pub(super) fn write_login(
        &self,
        address: SocketAddr,
        token: &str,
    ) -> Result<PathBuf, EngineError> {
        let path = self.directory.path().join("auth.json");
        self.write(&path, &login(address, token))?;
        Ok(path)
    }

    /// Returns podman, told so.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(super::Engine::Podman.program());
        command.env(REGISTRIES, self.registries());
        command
    }

    /// Refuses a podman that says in `info` that it does not do what it is told, or keeps images elsewhere.
    pub(super) fn check(&self, info: &Value) -> Result<(), EngineError> {
        if info["host"]["serviceIsRemote"] != json!(false) {
            return Err(EngineError::Remote);
        }
        let registry = &info["registries"][&self.prefix];
        if registry["Location"] == json!(self.location) && registry["Blocked"] != json!(true) {
            return Ok(());
        }
        Err(EngineError::Elsewhere {
            name: self.prefix.clone(),
        })
    }

    fn registries(&self) -> PathBuf {
        self.directory.path().join("registries.conf")
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), EngineError> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|source| EngineError::Write {
            path: path.to_path_buf(),
            source,
        })
    }
}

fn registries(prefix: &str, location: &str) -> String {
    let registry = [Registry {
        prefix,
        location,
        insecure: true,
    }];
    toml::to_string(&Registries { registry }).expect("three words are a table of TOML")
}

/// `containers-auth.json(5)`.
fn login(address: SocketAddr, token: &str) -> Zeroizing<String> {
    let login = Zeroizing::new(format!("{USER}:{token}"));
    let encoded = Zeroizing::new(STANDARD.encode(login.as_bytes()));
    let text = json!({ "auths": { address.to_string(): { "auth": *encoded } } });
    Zeroizing::new(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> PullFiles {
        let name = "registry.example:5000/team/app:1".parse().unwrap();
        PullFiles::new(&name, ([127, 0, 0, 1], 8417).into()).unwrap()
    }

    #[test]
    fn the_registry_of_a_name_is_said_to_be_another_one() {
        let text = fs::read_to_string(files().registries()).unwrap();
        let expected = "[[registry]]\nprefix = \"registry.example:5000/team/app\"\n\
                        location = \"127.0.0.1:8417/team/app\"\ninsecure = true\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_login_is_what_docker_and_podman_read() {
        let text = login(([127, 0, 0, 1], 8417).into(), "secret");
        let expected = r#"{"auths":{"127.0.0.1:8417":{"auth":"cGl0aDpzZWNyZXQ="}}}"#;
        assert_eq!(*text, expected);
    }

    #[test]
    fn podman_that_asks_elsewhere_or_is_elsewhere_is_refused() {
        let info = |remote: Value, location: &str, blocked: bool| {
            let registry = json!({ "Location": location, "Blocked": blocked });
            json!({
                "host": { "serviceIsRemote": remote },
                "registries": { "registry.example:5000/team/app": registry },
            })
        };
        let ours = "127.0.0.1:8417/team/app";
        let check = |info: &Value| files().check(info);
        assert!(check(&info(json!(false), ours, false)).is_ok());
        for remote in [json!(true), Value::Null] {
            let refused = check(&info(remote, ours, false));
            assert!(matches!(refused, Err(EngineError::Remote)));
        }
        for (location, blocked) in [("127.0.0.1:8418/team/app", false), (ours, true)] {
            let refused = check(&info(json!(false), location, blocked));
            assert!(matches!(refused, Err(EngineError::Elsewhere { .. })));
        }
    }
}
