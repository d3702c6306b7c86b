//! Files that hold a key: one line, `<name>:<base64>`, or PEM. The public key of `FILE` lies in `FILE.pub`.
//!
//! A key in PEM has no name: it is called as its file, without what files of keys end with.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pack::sign::{ImageKey, ImageSecretKey, SecretKeyError};
use store::trust::{KeyName, SecretKey, TrustError};
use thiserror::Error;
use zeroize::Zeroizing;

/// More than any key has, and little enough for whatever is given by mistake.
const MAX_BYTES: u64 = 4096;
const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
/// What files of keys end with.
const SUFFIXES: [&str; 3] = [".pub", ".pem", ".key"];
/// What a block in PEM begins with.
const BEGIN: &str = "-----BEGIN ";

/// Why a key could not be written or read.
#[derive(Debug, Error)]
pub(crate) enum KeyFileError {
    /// There is a file of that name, which may be the only copy of a key.
    #[error("`{}` exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` holds no key", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What its text is not.
        source: TrustError,
    },
    /// The file holds a secret key that cannot be used.
    #[error("cannot use the secret key in `{}`", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SecretKeyError,
    },
    /// The key is for something else.
    #[error("the key in `{}` is for images: what goes into caches is signed by keys of `pith key generate` alone", path.display())]
    ForImages {
        /// The file.
        path: PathBuf,
    },
    /// The file is far too long for a key.
    #[error("`{}` holds no key: it has more than {MAX_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Where the public key of the secret key at `path` lies.
pub(crate) fn public_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".pub");
    name.into()
}

/// Writes a new key to `path`, for its owner's eyes only, and its public key beside it. Never replaces a file; each appears whole or not at
/// all, and the secret one is gone again if the public one cannot appear.
pub(crate) fn write(path: &Path, key: &ImageSecretKey) -> Result<(), KeyFileError> {
    let public_path = public_path(path);
    for path in [path, &public_path] {
        if path.symlink_metadata().is_ok() {
            return Err(KeyFileError::Exists { path: path.into() });
        }
    }
    let secret = stage(path, &key.to_text(), SECRET_MODE)?;
    let public = stage(&public_path, &key.public().to_text(), PUBLIC_MODE)?;
    publish(secret, path)?;
    publish(public, &public_path).inspect_err(|_| {
        // What is reported is why the public key could not be written.
        drop(fs::remove_file(path));
    })?;
    sync(path)
}

fn stage(path: &Path, text: &str, mode: u32) -> Result<tempfile::NamedTempFile, KeyFileError> {
    let write = || {
        let mut file = tempfile::Builder::new()
            .prefix(".pith-key-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory(path))?;
        file.write_all(text.trim_end().as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(failed(path))
}

fn publish(file: tempfile::NamedTempFile, path: &Path) -> Result<(), KeyFileError> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyFileError::Exists { path: path.into() })
        }
        Err(error) => Err(failed(path)(error.error)),
    }
}

fn sync(path: &Path) -> Result<(), KeyFileError> {
    File::open(directory(path))
        .and_then(|directory| directory.sync_all())
        .map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    move |source| KeyFileError::Write {
        path: path.into(),
        source,
    }
}

/// The directory that `path` lies in; a path of one name lies in the working directory.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Reads the public key of a file that holds a secret or a public key.
pub(crate) fn read_image_key(path: &Path) -> Result<ImageKey, KeyFileError> {
    let text = read(path)?;
    if ImageSecretKey::is_pem(&text) {
        return parse_secret(path, &text).map(|key| key.public());
    }
    let key = if text.contains(BEGIN) {
        pem_name(path).and_then(|name| ImageKey::from_pem(name, &text))
    } else {
        match text.parse::<SecretKey>() {
            Ok(key) => Ok(key.public().into()),
            // What has the length of a secret key is one, or a damaged one.
            Err(error @ TrustError::Halves { .. }) => Err(error),
            Err(_) => text.parse().map(ImageKey::Ed25519),
        }
    };
    key.map_err(|source| KeyFileError::Parse {
        path: path.into(),
        source,
    })
}

/// Reads a secret key by which images are signed.
pub(crate) fn read_image_secret(path: &Path) -> Result<ImageSecretKey, KeyFileError> {
    parse_secret(path, &read(path)?)
}

/// Reads a secret key by which what goes into caches is signed.
pub(crate) fn read_secret(path: &Path) -> Result<SecretKey, KeyFileError> {
    match read_image_secret(path)? {
        ImageSecretKey::Ed25519(key) => Ok(key),
        ImageSecretKey::P256 { .. } => Err(KeyFileError::ForImages { path: path.into() }),
    }
}

fn parse_secret(path: &Path, text: &str) -> Result<ImageSecretKey, KeyFileError> {
    let no_key = |source| KeyFileError::Parse {
        path: path.into(),
        source,
    };
    if !text.contains(BEGIN) {
        let key = text.parse::<SecretKey>();
        return key.map(ImageSecretKey::from).map_err(no_key);
    }
    let name = pem_name(path).map_err(no_key)?;
    ImageSecretKey::from_pem(name, text).map_err(|source| KeyFileError::Secret {
        path: path.into(),
        source,
    })
}

/// What a key in PEM is called.
pub(crate) fn pem_name(path: &Path) -> Result<KeyName, TrustError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut name = name.as_ref();
    while let Some(stem) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
        name = stem;
    }
    name.parse().or_else(|_| "key".parse())
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    // Reserved at once: a text that grows leaves copies of a secret behind.
    let mut text = Zeroizing::new(String::with_capacity(
        usize::try_from(MAX_BYTES).unwrap_or_default() + 1,
    ));
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|source| KeyFileError::Read {
            path: path.into(),
            source,
        })?;
    if text.len() > usize::try_from(MAX_BYTES).unwrap_or_default() {
        return Err(KeyFileError::TooLong { path: path.into() });
    }
    let length = text.trim_end().len();
    text.truncate(length);
    Ok(text)
}
