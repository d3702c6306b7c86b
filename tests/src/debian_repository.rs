//! A small archive in the form of Debian's, signed by a key of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey,
};
use pgp::types::Password;
use sha2::{Digest as _, Sha256};

use crate::FileServer;

/// The suite that the archive has.
pub const SUITE: &str = "bookworm";

/// One package of the archive.
#[derive(Clone, Debug, Default)]
pub struct DebianPackage {
    name: String,
    version: String,
    architecture: String,
    fields: Vec<(String, String)>,
    files: Vec<(String, Content)>,
    postinst: Option<String>,
}

#[derive(Clone, Debug)]
enum Content {
    File(Vec<u8>, u32),
    Link(String),
}

impl DebianPackage {
    /// A package without files.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            ..Self::default()
        }
    }

    /// The same for another architecture, or for `all`.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// The same with one more line in its control file.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The same with one more file.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files
            .push((path.into(), Content::File(text.into(), 0o644)));
        self
    }

    /// The same with one more program.
    #[must_use]
    pub fn program(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files
            .push((path.into(), Content::File(bytes.into(), 0o755)));
        self
    }

    /// The same with one more link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.files.push((path.into(), Content::Link(target.into())));
        self
    }

    /// The same with a script that runs after installing.
    #[must_use]
    pub fn postinst(mut self, script: &str) -> Self {
        self.postinst = Some(script.into());
        self
    }

    fn control(&self) -> String {
        let mut text = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Nobody <nobody@example.org>\n",
            self.name, self.version, self.architecture
        );
        for (name, value) in &self.fields {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push_str("Description: a package of a test\n");
        text
    }

    /// The `.deb`.
    #[must_use]
    pub fn to_deb(&self) -> Vec<u8> {
        let mut control = vec![(
            "control".to_owned(),
            Content::File(self.control().into(), 0o644),
        )];
        let scripts = self.postinst.iter();
        control.extend(
            scripts.map(|text| ("postinst".into(), Content::File(text.clone().into(), 0o755))),
        );
        let members = [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", tar_gz(&control)),
            ("data.tar.gz", tar_gz(&self.files)),
        ];
        let mut deb = b"!<arch>\n".to_vec();
        for (name, bytes) in members {
            let head = format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                100_644,
                bytes.len()
            );
            deb.extend(head.into_bytes());
            deb.extend(&bytes);
            if bytes.len() % 2 == 1 {
                deb.push(b'\n');
            }
        }
        deb
    }

    fn path(&self) -> String {
        let file = self.version.rsplit(':').next().unwrap_or_default();
        let (name, architecture) = (&self.name, &self.architecture);
        format!("pool/main/{name}/{name}_{file}_{architecture}.deb")
    }
}

fn tar_gz(files: &[(String, Content)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        let name = format!("./{path}");
        let done = match content {
            Content::File(bytes, mode) => {
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, bytes.as_slice())
            }
            Content::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target)
            }
        };
        done.expect("memory has room");
    }
    let packed = builder.into_inner().and_then(GzEncoder::finish);
    packed.expect("memory has room")
}

/// The files of an archive, which a test may change before they are served.
#[derive(Debug)]
pub struct DebianRepository {
    key: SignedSecretKey,
    /// By path below the archive.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The paragraphs of the index of sources.
    sources: String,
}

impl DebianRepository {
    /// An archive with packages, signed by a new key.
    #[must_use]
    pub fn new(packages: &[DebianPackage]) -> Self {
        let mut repository = Self {
            key: new_key(),
            files: BTreeMap::new(),
            sources: String::new(),
        };
        repository.fill(packages, None);
        repository
    }

    /// Adds a source package of one archive; the index promises it from the next time that packages are put in.
    pub fn add_source(&mut self, name: &str, version: &str) {
        let directory = format!("pool/main/{name}");
        let (archive, description) = (
            format!("{name}_{version}.tar"),
            format!("{name}_{version}.dsc"),
        );
        let bytes = format!("the source of {name}\n").into_bytes();
        let listed = format!(" {} {} {archive}\n", hex(&bytes), bytes.len());
        let dsc = format!(
            "Format: 3.0 (native)\nSource: {name}\nVersion: {version}\nChecksums-Sha256:\n{listed}"
        );
        let own = format!(" {} {} {description}\n", hex(dsc.as_bytes()), dsc.len());
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.sources,
            "Package: {name}\nVersion: {version}\nDirectory: {directory}\nChecksums-Sha256:\n{own}{listed}"
        );
        self.files.insert(format!("{directory}/{archive}"), bytes);
        self.files
            .insert(format!("{directory}/{description}"), dsc.into_bytes());
    }

    /// Puts packages in the place of those that are there, and signs the index; `valid_until` as in `Sat, 11 Jul 2026 10:16:37 UTC`.
    pub fn fill(&mut self, packages: &[DebianPackage], valid_until: Option<&str>) {
        let directory = format!("dists/{SUITE}");
        let architectures: BTreeSet<&str> = (packages.iter())
            .map(|package| package.architecture.as_str())
            .filter(|architecture| *architecture != "all")
            .collect();
        let mut promised = String::new();
        for architecture in architectures {
            let mut index = String::new();
            for package in packages {
                if ![architecture, "all"].contains(&package.architecture.as_str()) {
                    continue;
                }
                let deb = package.to_deb();
                let _ = writeln!(
                    index,
                    "{}Filename: {}\nSize: {}\nSHA256: {}\n",
                    package.control(),
                    package.path(),
                    deb.len(),
                    hex(&deb)
                );
                self.files.insert(package.path(), deb);
            }
            let file = format!("main/binary-{architecture}/Packages.xz");
            self.promise(&directory, &file, &index, &mut promised);
        }
        if !self.sources.is_empty() {
            let index = self.sources.clone();
            self.promise(&directory, "main/source/Sources.xz", &index, &mut promised);
        }
        let until = valid_until.map_or_else(String::new, |date| format!("Valid-Until: {date}\n"));
        let release = format!(
            "Origin: Test\nSuite: stable\nCodename: {SUITE}\nDate: Sat, 11 Jul 2020 10:16:37 UTC\n{until}SHA256:\n{promised}"
        );
        self.files
            .insert(format!("{directory}/InRelease"), self.sign(&release));
    }

    /// Packs an index, and adds it to those that the release promises.
    fn promise(&mut self, directory: &str, file: &str, index: &str, promised: &mut String) {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder
            .write_all(index.as_bytes())
            .expect("memory has room");
        let packed = encoder.finish().expect("memory has room");
        // Writing to a String cannot fail.
        let _ = writeln!(promised, " {} {} {file}", hex(&packed), packed.len());
        self.files.insert(format!("{directory}/{file}"), packed);
    }

    /// The text, clear-signed by the archive's key.
    #[must_use]
    pub fn sign(&self, text: &str) -> Vec<u8> {
        let signed = CleartextSignedMessage::sign(
            rand::thread_rng(),
            text,
            &self.key.primary_key,
            &Password::empty(),
        );
        let signed = signed.expect("the key can sign");
        let armored = signed.to_armored_string(ArmorOptions::default());
        armored.expect("memory has room").into_bytes()
    }

    /// The archive's key, armoured.
    #[must_use]
    pub fn public_key(&self) -> String {
        let key = SignedPublicKey::from(self.key.clone());
        key.to_armored_string(ArmorOptions::default())
            .expect("memory has room")
    }

    /// Serves the archive.
    #[must_use]
    pub fn serve(&self) -> FileServer {
        let files: Vec<(String, &[u8])> = (self.files.iter())
            .map(|(path, bytes)| (format!("/{path}"), bytes.as_slice()))
            .collect();
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(path, bytes)| (path.as_str(), *bytes))
            .collect();
        FileServer::start(&files)
    }
}

fn new_key() -> SignedSecretKey {
    let mut parameters = SecretKeyParamsBuilder::default();
    parameters
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .primary_user_id("Test archive <test@example.org>".into());
    let parameters = parameters.build().expect("the parameters are complete");
    parameters
        .generate(rand::thread_rng())
        .expect("a key can be made")
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
