//! A bundle read again: whether all that it names is there, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::Serialize;

use super::{MANIFEST, MANIFEST_VERSION, Manifest, SIGNATURE, SUMS, SourcesError};
use crate::{
    layer::{Dialect, TarError, TarReader},
    oci::{Digest, DigestWriter},
    sign::{ImageKey, verify_digest},
};

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 256 << 10;

/// The code of a finding, which stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum SourceCode {
    /// A file is missing.
    S101,
    /// A file is not what the bundle says, or the bundle does not say what it is.
    S102,
    /// A patch is missing.
    S103,
    /// What was built again is another image.
    S104,
}

impl fmt::Display for SourceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S101 => "S101",
            Self::S102 => "S102",
            Self::S103 => "S103",
            Self::S104 => "S104",
        })
    }
}

/// One thing that is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SourceFinding {
    /// What kind of thing.
    pub code: SourceCode,
    /// The file in the bundle, or the image.
    pub file: String,
    /// What is wrong with it, as the end of a sentence that begins with its name.
    pub problem: String,
}

impl fmt::Display for SourceFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.code, self.file, self.problem)
    }
}

/// Reads what a bundle in a directory says of itself.
pub fn load_manifest(root: &Path) -> Result<Manifest, SourcesError> {
    let path = root.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|source| SourcesError::Read {
        path: path.clone(),
        source,
    })?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|source| SourcesError::Manifest {
            path: path.clone(),
            source,
        })?;
    if manifest.version != MANIFEST_VERSION {
        let problem = format!("version {} is not known", manifest.version);
        let source = serde::de::Error::custom(problem);
        return Err(SourcesError::Manifest { path, source });
    }
    Ok(manifest)
}

/// Compares every file of a bundle in a directory with what the bundle says of it. The findings are sorted.
pub fn verify(root: &Path, manifest: &Manifest) -> Result<Vec<SourceFinding>, SourcesError> {
    let mut findings = BTreeSet::new();
    let patches: BTreeSet<&str> = (manifest.components.iter())
        .flat_map(|one| one.patches.iter().filter_map(|patch| patch.file.as_deref()))
        .collect();
    let mut report = |code, file: &str, problem: String| {
        findings.insert((code, file.to_owned(), problem));
    };
    let missing = |file: &str| {
        if patches.contains(file) {
            SourceCode::S103
        } else {
            SourceCode::S101
        }
    };
    let present = hash_all(root)?;
    let sums = read_sums(root)?;
    for (file, expected) in &sums {
        match present.get(file) {
            None => report(missing(file), file, "is missing".to_owned()),
            Some(found) if found != expected => {
                let problem = format!("has the digest {found}, and should have {expected}");
                report(SourceCode::S102, file, problem);
            }
            Some(_) => {}
        }
    }
    for file in present
        .keys()
        .filter(|file| *file != SUMS && *file != SIGNATURE)
    {
        if !sums.contains_key(file) {
            report(SourceCode::S102, file, format!("is not in `{SUMS}`"));
        }
    }
    // Who drops a file with its sum has to drop it from the manifest, too, which a signature covers.
    let fetched = manifest.files().filter_map(|one| {
        let (file, sha256) = (one.file.as_deref()?, one.sha256.as_deref()?);
        Some((file, sha256))
    });
    let recipes = (manifest.recipes.iter()).map(|one| (one.file.as_str(), one.sha256.as_str()));
    for (file, expected) in fetched.chain(recipes) {
        match present.get(file) {
            None => report(missing(file), file, "is missing".to_owned()),
            Some(found) if found.to_hex() != expected => {
                let problem = format!("has the digest {found}, and should have sha256:{expected}");
                report(SourceCode::S102, file, problem);
            }
            Some(_) => {}
        }
    }
    let findings = findings.into_iter();
    Ok(findings
        .map(|(code, file, problem)| SourceFinding {
            code,
            file,
            problem,
        })
        .collect())
}

/// Returns what is wrong with the signature of a bundle in a directory, if it is not by the owner of `key`.
pub fn verify_signature(
    root: &Path,
    key: &ImageKey,
) -> Result<Option<SourceFinding>, SourcesError> {
    let read = |name: &str| {
        let path = root.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SourcesError::Read { path, source }),
        }
    };
    let sums = read(SUMS)?.unwrap_or_default();
    let (code, problem) = match read(SIGNATURE)? {
        None => (SourceCode::S101, "is missing".to_owned()),
        Some(signature) => match verify_digest(&signature, key, Digest::of(&sums)) {
            Ok(()) => return Ok(None),
            Err(reason) => (
                SourceCode::S102,
                format!("is no signature by the key: {reason}"),
            ),
        },
    };
    Ok(Some(SourceFinding {
        code,
        file: SIGNATURE.to_owned(),
        problem,
    }))
}

/// Unpacks a tar of a bundle into an empty directory. Only files and directories are taken, and none that leads out of it.
pub fn unpack(archive: &Path, root: &Path) -> Result<(), SourcesError> {
    let file = File::open(archive).map_err(|source| SourcesError::Read {
        path: archive.to_path_buf(),
        source,
    })?;
    let bad = |source: TarError| SourcesError::Archive {
        path: archive.to_path_buf(),
        source,
    };
    let mut reader = TarReader::of(io::BufReader::new(file), Dialect::Any);
    while let Some(member) = reader.next_member().map_err(bad)? {
        let name = String::from_utf8_lossy(&member.path).into_owned();
        let wrong = |problem| SourcesError::Member {
            path: archive.to_path_buf(),
            member: name.escape_debug().to_string(),
            problem,
        };
        let place = name.trim_end_matches('/');
        if !is_plain(place) {
            return Err(wrong("is no plain relative path"));
        }
        let path = root.join(place);
        let failed = |source| SourcesError::Write {
            path: path.clone(),
            source,
        };
        match member.flag {
            b'5' => fs::create_dir_all(&path).map_err(failed)?,
            b'0' => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(failed)?;
                }
                let mut file = File::create_new(&path).map_err(failed)?;
                io::copy(&mut reader, &mut file).map_err(failed)?;
            }
            _ => return Err(wrong("is neither a file nor a directory")),
        }
    }
    Ok(())
}

fn is_plain(place: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    place.split('/').all(is_part)
}

/// Returns the digest of every file below a directory, by its path there. What is no file has the digest of nothing, so that it is never what it should be.
fn hash_all(root: &Path) -> Result<BTreeMap<String, Digest>, SourcesError> {
    let mut digests = BTreeMap::new();
    let mut pending = vec![String::new()];
    while let Some(directory) = pending.pop() {
        let real = root.join(&directory);
        let failed = |source| SourcesError::Read {
            path: real.clone(),
            source,
        };
        for entry in fs::read_dir(&real).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let place = if directory.is_empty() {
                name
            } else {
                format!("{directory}/{name}")
            };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                pending.push(place);
            } else if kind.is_file() {
                let digest = hash(&entry.path()).map_err(failed)?;
                digests.insert(place, digest);
            } else {
                digests.insert(place, DigestWriter::default().finish());
            }
        }
    }
    Ok(digests)
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = DigestWriter::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..count]);
    }
}

/// Reads the list of digests; lines that are none are left out, and so what they are about is not in it.
fn read_sums(root: &Path) -> Result<BTreeMap<String, Digest>, SourcesError> {
    let path = root.join(SUMS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(SourcesError::Read { path, source }),
    };
    let lines = text.lines().filter_map(|line| {
        let (digest, file) = line.split_once("  ")?;
        Some((file.to_owned(), format!("sha256:{digest}").parse().ok()?))
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::super::{
        Bundle, BundledComponent, BundledFile, BundledImage, BundledRecipe, BundledTool, Content,
        Scope,
    };
    use super::*;

    fn file(name: &str, contents: &str) -> BundledFile {
        let sha256 = Digest::of(contents.as_bytes()).to_hex();
        BundledFile {
            name: name.to_owned(),
            digest: format!("sha256:{sha256}"),
            file: Some(format!("sources/sha256/{sha256}/{name}")),
            sha256: Some(sha256),
            urls: Vec::new(),
        }
    }

    fn bundle() -> (Bundle, Manifest) {
        let (source, patch) = (file("a.tar", "source"), file("fix.patch", "patch"));
        let recipe = Digest::of(b"recipe").to_hex();
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            tool: BundledTool {
                name: "pith".to_owned(),
                version: "1".to_owned(),
                format: 1,
            },
            image: BundledImage {
                target: "a".to_owned(),
                platform: "x86_64-linux".to_owned(),
                manifest: Digest::of(b"image").to_string(),
            },
            scope: Scope::All,
            has_toolchain: false,
            components: vec![BundledComponent {
                name: "a".to_owned(),
                version: None,
                license: Some("MIT".to_owned()),
                duties: BTreeSet::new(),
                is_shipped: true,
                recipe: "//a/recipe.star:1".to_owned(),
                derivation: "blake3:00".to_owned(),
                sources: vec![source.clone()],
                source_packages: Vec::new(),
                patches: vec![patch.clone()],
            }],
            toolchain: Vec::new(),
            recipes: vec![BundledRecipe {
                file: "recipes/a/recipe.star".to_owned(),
                sha256: recipe,
            }],
        };
        let mut bundle = Bundle::default();
        for (one, contents) in [(&source, "source"), (&patch, "patch")] {
            let place = one.file.clone().unwrap();
            bundle.add(place, Content::Bytes(contents.into()));
        }
        bundle.add("recipes/a/recipe.star", Content::Bytes(b"recipe".to_vec()));
        bundle.add("REBUILD.sh", Content::Script(b"#!/bin/sh\n".to_vec()));
        bundle.describe(&manifest, &[]);
        (bundle, manifest)
    }

    #[test]
    fn a_tar_has_the_same_bytes_again_and_is_unpacked_to_the_same_bundle() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("1.tar"), place.path().join("2.tar"));
        bundle().0.write(&first, None).unwrap();
        bundle().0.write(&second, None).unwrap();
        assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
        assert!(matches!(
            bundle().0.write(&first, None),
            Err(SourcesError::Exists { .. })
        ));
        let directory = place.path().join("unpacked");
        fs::create_dir(&directory).unwrap();
        unpack(&first, &directory).unwrap();
        let manifest = load_manifest(&directory).unwrap();
        assert_eq!(manifest, bundle().1);
        assert_eq!(verify(&directory, &manifest).unwrap(), []);
        let names: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(names.len(), 3, "something temporary is left");
    }

    #[test]
    fn whatever_is_done_to_a_bundle_has_its_code() {
        let place = tempfile::tempdir().unwrap();
        let (_, manifest) = bundle();
        let component = &manifest.components[0];
        let source = component.sources[0].file.clone().unwrap();
        let patch = component.patches[0].file.clone().unwrap();
        let found = |name: &str, change: &dyn Fn(&Path)| -> Vec<(SourceCode, String)> {
            let root = place.path().join(name);
            bundle().0.write(&root, None).unwrap();
            change(&root);
            let found = verify(&root, &load_manifest(&root).unwrap()).unwrap();
            found.into_iter().map(|one| (one.code, one.file)).collect()
        };
        let removed = found("removed", &|root| {
            fs::remove_file(root.join(&source)).unwrap();
        });
        assert_eq!(removed, [(SourceCode::S101, source.clone())]);
        let changed = found("changed", &|root| {
            fs::write(root.join(&source), "sourcE").unwrap();
        });
        assert_eq!(changed.first(), Some(&(SourceCode::S102, source.clone())));
        let dropped = found("dropped", &|root| {
            fs::remove_file(root.join(&patch)).unwrap();
        });
        assert_eq!(dropped, [(SourceCode::S103, patch.clone())]);
        let planted = found("planted", &|root| fs::write(root.join("x"), "x").unwrap());
        assert_eq!(planted, [(SourceCode::S102, "x".to_owned())]);
        let forgotten = found("forgotten", &|root| {
            fs::remove_file(root.join(&patch)).unwrap();
            let sums = fs::read_to_string(root.join(SUMS)).unwrap();
            let sums: Vec<&str> = sums
                .lines()
                .filter(|line| !line.ends_with(&patch))
                .collect();
            fs::write(root.join(SUMS), sums.join("\n")).unwrap();
        });
        assert_eq!(forgotten, [(SourceCode::S103, patch)]);
    }

    #[test]
    fn a_signature_is_good_for_its_key_and_for_what_was_signed() {
        use crate::sign::ImageSecretKey;
        use store::trust::SecretKey;
        let place = tempfile::tempdir().unwrap();
        let key = |seed| {
            let key = SecretKey::from_seed("test".parse().unwrap(), &[seed; 32]);
            ImageSecretKey::from(key)
        };
        let root = place.path().join("bundle");
        bundle().0.write(&root, Some(&key(1))).unwrap();
        let code = |seed| {
            let found = verify_signature(&root, &key(seed).public()).unwrap();
            found.map(|finding| finding.code)
        };
        assert_eq!(verify(&root, &bundle().1).unwrap(), []);
        assert_eq!((code(1), code(2)), (None, Some(SourceCode::S102)));
        let sums = root.join(SUMS);
        let good = fs::read_to_string(&sums).unwrap();
        fs::write(&sums, good.replacen('0', "1", 1)).unwrap();
        assert_eq!(code(1), Some(SourceCode::S102));
        fs::remove_file(root.join(SIGNATURE)).unwrap();
        assert_eq!(code(1), Some(SourceCode::S101));
    }

    #[test]
    fn an_archive_that_leads_out_of_its_directory_is_refused() {
        use crate::layer::{Entry, EntryKind, append_end, append_entry};
        let place = tempfile::tempdir().unwrap();
        for path in ["../evil", "/evil", "a/../../evil"] {
            let mut tar = Vec::new();
            let kind = EntryKind::File { size_bytes: 0 };
            let entry = Entry {
                path: path.as_bytes(),
                mode: 0o644,
                kind,
            };
            append_entry(&mut tar, &entry);
            append_end(&mut tar);
            let archive = place.path().join("evil.tar");
            fs::write(&archive, tar).unwrap();
            let root = tempfile::tempdir_in(place.path()).unwrap();
            assert!(matches!(
                unpack(&archive, root.path()),
                Err(SourcesError::Member { .. })
            ));
        }
    }
}
