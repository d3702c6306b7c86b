//! The machine's setting files: where they are, their texts, and the mirrors they amount to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Address, MirrorTable};
use super::{apt, cargo, npm, pip};

/// A setting file larger than this is not read.
const MAX_BYTES: u64 = 1 << 20;

/// Where the setting files are. A file or directory that is missing is passed over.
#[derive(Clone, Debug, Default)]
pub struct MachinePaths {
    /// The directory with `sources.list`, `sources.list.d`, `apt.conf` and `apt.conf.d`, commonly `/etc/apt`.
    pub apt: Option<PathBuf>,
    /// The value of `PIP_INDEX_URL`, which is stronger than pip's files.
    pub pip_index: Option<String>,
    /// pip's configuration files, the strongest first.
    pub pip: Vec<PathBuf>,
    /// The value of `npm_config_registry`, which is stronger than npm's files.
    pub npm_registry: Option<String>,
    /// npm's configuration files, the strongest first.
    pub npm: Vec<PathBuf>,
    /// cargo's configuration files, the strongest first.
    pub cargo: Vec<PathBuf>,
    /// Where cargo keeps what it knows of registries, commonly `~/.cargo/registry/index`.
    pub cargo_registries: Option<PathBuf>,
}

/// The texts of the setting files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFiles {
    /// apt's sources in the one-line style (`*.list`).
    pub apt_lists: Vec<String>,
    /// apt's sources in the deb822 style (`*.sources`).
    pub apt_sources: Vec<String>,
    /// apt's configuration files.
    pub apt_conf: Vec<String>,
    /// Lists of mirrors, by the path by which a `mirror+file:` source names them.
    pub apt_mirror_lists: BTreeMap<PathBuf, String>,
    /// pip's index as a variable names it.
    pub pip_index: Option<String>,
    /// pip's configuration files, the strongest first.
    pub pip: Vec<String>,
    /// npm's registry as a variable names it.
    pub npm_registry: Option<String>,
    /// npm's configuration files, the strongest first.
    pub npm: Vec<String>,
    /// cargo's configuration files, the strongest first.
    pub cargo: Vec<String>,
    /// What registries told cargo of themselves, in the order of the registries' names.
    pub cargo_registries: Vec<String>,
}

impl MachineFiles {
    /// Reads the files that `paths` names. Never fails: what cannot be read counts as empty.
    pub fn load(paths: &MachinePaths) -> Self {
        let all = |list: &[PathBuf]| list.iter().filter_map(|path| read(path)).collect();
        let mut files = Self {
            pip_index: paths.pip_index.clone(),
            pip: all(&paths.pip),
            npm_registry: paths.npm_registry.clone(),
            npm: all(&paths.npm),
            cargo: all(&paths.cargo),
            ..Self::default()
        };
        for registry in paths.cargo_registries.iter().flat_map(|path| entries(path)) {
            files
                .cargo_registries
                .extend(read(&registry.join("config.json")));
        }
        let Some(apt) = &paths.apt else { return files };
        files.apt_lists.extend(read(&apt.join("sources.list")));
        for path in entries(&apt.join("sources.list.d")) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("list") => files.apt_lists.extend(read(&path)),
                Some("sources") => files.apt_sources.extend(read(&path)),
                _ => {}
            }
        }
        files.apt_conf.extend(
            entries(&apt.join("apt.conf.d"))
                .iter()
                .filter_map(|path| read(path)),
        );
        files.apt_conf.extend(read(&apt.join("apt.conf")));
        for path in entries(&apt.join("mirrors")) {
            if let Some(text) = read(&path) {
                files.apt_mirror_lists.insert(path, text);
            }
        }
        files
    }

    /// Returns the mirrors that the settings amount to: `debian`, `debian-security` (and any other archive that apt
    /// uses, by the last part of its address), `pypi`, `npm` and `crates`.
    pub fn mirrors(&self) -> MirrorTable {
        let mut table = apt::mirrors(self);
        let settings = [
            (
                "pypi",
                (self.pip_index.as_deref().and_then(pip::base))
                    .or_else(|| self.pip.iter().find_map(|text| pip::index(text))),
            ),
            (
                "npm",
                (self.npm_registry.as_deref().and_then(npm::base))
                    .or_else(|| self.npm.iter().find_map(|text| npm::registry(text))),
            ),
            (
                "crates",
                self.cargo.iter().find_map(|text| cargo::registry(text)),
            ),
        ];
        for (name, url) in settings {
            if let Some(url) = url {
                table.append(name, Address::new(url));
            }
        }
        // Which of them a lock file means does not matter: the digest decides.
        for text in &self.cargo_registries {
            if let Some(url) = cargo::downloads(text) {
                table.append("crates", Address::new(url));
            }
        }
        table
    }
}

fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return None;
    }
    fs::read(path)
        .ok()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The entries of a directory, sorted as apt sorts them.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_reads_what_is_there_and_passes_over_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let apt = directory.path().join("apt");
        fs::create_dir_all(apt.join("sources.list.d")).unwrap();
        fs::write(
            apt.join("sources.list"),
            "deb http://a.example/debian stable main\n",
        )
        .unwrap();
        fs::write(
            apt.join("sources.list.d/b.sources"),
            "Types: deb\nURIs: http://b.example/debian\n",
        )
        .unwrap();
        fs::write(
            apt.join("sources.list.d/c.save"),
            "deb http://c.example/debian stable main\n",
        )
        .unwrap();
        let pip = directory.path().join("pip.conf");
        fs::write(
            &pip,
            "[global]\nindex-url = https://i.example/root/simple/\n",
        )
        .unwrap();
        let paths = MachinePaths {
            apt: Some(apt),
            pip: vec![directory.path().join("missing"), pip],
            ..MachinePaths::default()
        };
        let table = MachineFiles::load(&paths).mirrors();
        let urls: Vec<_> = table
            .bases("debian")
            .iter()
            .map(|base| base.url.as_str())
            .collect();
        assert_eq!(urls, ["http://b.example/debian", "http://a.example/debian"]);
        assert_eq!(
            table.bases("pypi"),
            [Address::new("https://i.example/root")]
        );
        assert!(table.bases("npm").is_empty());
        let paths = MachinePaths {
            pip_index: Some("https://variable.example/simple".to_owned()),
            npm_registry: Some("https://npm.example/".to_owned()),
            ..paths
        };
        let table = MachineFiles::load(&paths).mirrors();
        assert_eq!(
            table.bases("pypi"),
            [Address::new("https://variable.example")]
        );
        assert_eq!(table.bases("npm"), [Address::new("https://npm.example")]);
    }
}
