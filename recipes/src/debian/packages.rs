//! From a lock to derivations: a fetch and an unpacking for each package, and the set of them.

use std::fmt::Write as _;
use std::sync::Arc;

use store::StoreName;

use super::lock::{Lock, LockedPackage};
use crate::model::{
    Builder, DEFAULT_OUTPUT, Deb, DebSet, Derivation, DerivationSpec, Fetch, Limits, Location,
    Metadata, ModelError, OutputRef, RecipeTexts,
};

/// The version of the rules by which packages are composed; part of the identity of what is composed. Whoever changes what comes out of
/// `composition` for the same packages raises it.
const RULES: u32 = 1;

/// What images do without: documentation, translations, and data of programs that only administrators run.
const DROP: &[&str] = &[
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/gtk-doc",
    "usr/share/menu",
    "usr/share/bash-completion",
    "usr/share/zsh",
    "usr/share/fish",
];
/// What stays of it: who has the rights in the files, and on which terms.
const KEEP: &[&str] = &["usr/share/doc/*/copyright"];

/// How packages are composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOptions {
    /// The packages to have, in order of importance: the first one is what runs.
    pub names: Vec<String>,
    /// Whether the result is one tree with all files, as a sandbox needs it, rather than an object that names them.
    pub tree: bool,
    /// Where it was asked for.
    pub origin: Location,
}

/// Why there are no derivations.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The lock has no such package.
    #[error("`{file}` does not lock `{name}`")]
    NotLocked {
        /// The package.
        name: String,
        /// The lock file.
        file: String,
    },
    /// A derivation cannot be.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Makes the derivations of some packages of a lock with all they need, by `make`. Returns that of the set.
pub fn set_of(
    lock: &Lock,
    file: &str,
    options: &SetOptions,
    make: &mut dyn FnMut(DerivationSpec) -> Result<Arc<Derivation>, ModelError>,
) -> Result<Arc<Derivation>, SetError> {
    let names = options.names.iter().map(String::as_str);
    let packages = lock.closure(names).map_err(|name| SetError::NotLocked {
        name,
        file: file.to_owned(),
    })?;
    let mut members = Vec::with_capacity(packages.len());
    for package in packages {
        let fetch = make(fetch_spec(package, &options.origin)?)?;
        let deb = make(member_spec(
            lock,
            package,
            OutputRef::default_of(fetch),
            &options.origin,
        )?)?;
        members.push(OutputRef::default_of(deb));
    }
    let main = options.names.first().and_then(|name| lock.find(name));
    let name = main.map_or("debian", |package| package.name.as_str());
    let version = main.map(|package| package.version.to_string());
    let codename = lock.suites.first().map_or("", |suite| suite.name.as_str());
    let spec = DerivationSpec {
        name: store_name(
            name,
            version.as_deref(),
            if options.tree { "-root" } else { "-debian" },
        )?,
        outputs: vec![DEFAULT_OUTPUT.to_owned()],
        builder: Builder::DebSet(DebSet {
            members,
            requested: options.names.clone(),
            release: codename.to_owned(),
            tree: options.tree,
            rules: RULES,
        }),
        limits: Limits::default(),
        metadata: Metadata {
            name: name.to_owned(),
            version,
            ..Metadata::default()
        },
        origin: options.origin.clone(),
        recipe: RecipeTexts::default(),
    };
    Ok(make(spec)?)
}

fn fetch_spec(package: &LockedPackage, origin: &Location) -> Result<DerivationSpec, ModelError> {
    let file = package.path.rsplit('/').next().unwrap_or(&package.path);
    let mut urls = vec![format!("mirror://{}/{}", package.mirror, package.path)];
    // What was a security update is in the main archive from the next point release on.
    if let Some(rest) = package.path.strip_prefix("pool/updates/") {
        urls.push(format!("mirror://debian/pool/{rest}"));
    }
    Ok(DerivationSpec {
        name: store_name(&plain(file), None, "")?,
        outputs: vec![DEFAULT_OUTPUT.to_owned()],
        builder: Builder::Fetch(Fetch {
            urls,
            digest: package.sha256,
            executable: false,
        }),
        limits: Limits::default(),
        metadata: Metadata {
            name: file.to_owned(),
            ..Metadata::default()
        },
        origin: origin.clone(),
        recipe: RecipeTexts::default(),
    })
}

fn member_spec(
    lock: &Lock,
    package: &LockedPackage,
    deb: OutputRef,
    origin: &Location,
) -> Result<DerivationSpec, ModelError> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let version = package.version.to_string();
    Ok(DerivationSpec {
        name: store_name(&package.name, Some(package.version.without_epoch()), "")?,
        outputs: vec![DEFAULT_OUTPUT.to_owned()],
        builder: Builder::Deb(Deb {
            deb,
            drop: texts(DROP),
            keep: texts(KEEP),
        }),
        limits: Limits::default(),
        metadata: Metadata {
            name: package.name.clone(),
            purl: Some(purl(lock, package)),
            version: Some(version),
            ..Metadata::default()
        },
        origin: origin.clone(),
        recipe: RecipeTexts::default(),
    })
}

/// The package URL, `pkg:deb/debian/curl@7.88.1-10%2Bdeb12u14?arch=amd64&distro=bookworm&upstream=curl` (purl-spec, type `deb`).
fn purl(lock: &Lock, package: &LockedPackage) -> String {
    let version = encode(package.version.as_str());
    let mut purl = format!(
        "pkg:deb/debian/{}@{version}?arch={}",
        encode(&package.name),
        package.architecture
    );
    if let Some(suite) = lock.suites.first() {
        purl.push_str("&distro=");
        purl.push_str(&encode(&suite.name));
    }
    if package.source != package.name {
        purl.push_str("&upstream=");
        purl.push_str(&encode(&package.source));
    }
    purl
}

/// Percent-encodes what is no unreserved character.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Store names know no tilde, no colon and no percent sign.
pub(super) fn plain(text: &str) -> String {
    text.replace(['~', '%', ':'], "_")
}

pub(super) fn store_name(
    name: &str,
    version: Option<&str>,
    suffix: &str,
) -> Result<StoreName, ModelError> {
    let name = match version {
        Some(version) => format!("{name}-{}{suffix}", plain(version)),
        None => format!("{name}{suffix}"),
    };
    name.parse()
        .map_err(|source| ModelError::StoreName { name, source })
}

/// Returns the derivation of the tree with all files of a set, as a sandbox needs it; `None` for anything but a set.
pub fn tree_of(set: &Derivation) -> Result<Option<Arc<Derivation>>, ModelError> {
    let Builder::DebSet(packages) = set.builder() else {
        return Ok(None);
    };
    let metadata = set.metadata().clone();
    let spec = DerivationSpec {
        name: store_name(&metadata.name, metadata.version.as_deref(), "-root")?,
        outputs: vec![DEFAULT_OUTPUT.to_owned()],
        builder: Builder::DebSet(DebSet {
            tree: true,
            ..packages.clone()
        }),
        limits: set.limits(),
        metadata,
        origin: set.origin().clone(),
        recipe: set.recipe().into(),
    };
    Derivation::new(spec).map(Some)
}
