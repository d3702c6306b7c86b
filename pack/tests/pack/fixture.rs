//! A small closure: `hello` refers to `libc`; `other` has a program of the same name; `certificates` has what its name says.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use pack::{Event, Format, Image, ImageSpec, PackOptions, Written};
use store::{MemoryNode, PathInfo, StorePath, testing::TempStore};

pub(crate) type TestResult = Result<(), Box<dyn Error>>;

pub(crate) struct Fixture {
    pub(crate) store: TempStore,
    pub(crate) libc: PathInfo,
    pub(crate) hello: PathInfo,
    pub(crate) other: PathInfo,
    pub(crate) certificates: PathInfo,
    pub(crate) outputs: tempfile::TempDir,
    /// How many bytes of tar were made.
    encoded: AtomicU64,
}

impl Fixture {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let store = TempStore::new();
        let tree = |entries: &[(&str, MemoryNode)]| -> Result<MemoryNode, Box<dyn Error>> {
            let mut root = MemoryNode::directory();
            for (path, node) in entries {
                root.insert(path, node.clone())?;
            }
            Ok(root)
        };
        let large: Vec<u8> = (0..1_500_000_u32).flat_map(u32::to_le_bytes).collect();
        let libc_tree = tree(&[
            ("lib/libc.so", MemoryNode::file(large)),
            ("lib/libc.so.6", MemoryNode::symlink("libc.so")?),
        ])?;
        let libc = store.add_tree("libc-1.0", libc_tree, &[])?;
        let program = format!("#!{}/lib/libc.so\n", libc.path.to_logical());
        let hello_tree = tree(&[
            ("bin/hello", MemoryNode::program(program)),
            ("share/text", MemoryNode::file("text")),
        ])?;
        let hello = store.add_tree("hello-2.10", hello_tree, &[&libc])?;
        let other_tree = tree(&[("bin/hello", MemoryNode::program("other"))])?;
        let other = store.add_tree("other-1", other_tree, &[])?;
        let bundle = tree(&[(
            "etc/ssl/certs/ca-certificates.crt",
            MemoryNode::file("bundle"),
        )])?;
        let certificates = store.add_tree("certificates-1", bundle, &[])?;
        Ok(Self {
            store,
            libc,
            hello,
            other,
            certificates,
            outputs: tempfile::tempdir()?,
            encoded: AtomicU64::new(0),
        })
    }

    pub(crate) fn spec(&self) -> ImageSpec {
        ImageSpec::new("hello".parse().expect("a legal name"))
    }

    /// A place for an output.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.outputs.path().join(name)
    }

    /// Writes an image of `roots`.
    pub(crate) fn pack(
        &self,
        roots: &[&PathInfo],
        spec: &ImageSpec,
        options: &PackOptions,
        format: Format,
        place: &Path,
    ) -> Result<Written, Box<dyn Error>> {
        let roots: Vec<StorePath> = roots.iter().map(|info| info.path.clone()).collect();
        let count = |event: Event<'_>| {
            if let Event::Encoded { tar_bytes } = event {
                self.encoded.fetch_add(tar_bytes, Ordering::Relaxed);
            }
        };
        let image = Image::new(&self.store, &roots, spec, options, &count)?;
        Ok(image.write(format, place)?)
    }

    /// Writes an image of `hello` with every default.
    pub(crate) fn pack_hello(
        &self,
        format: Format,
        place: &Path,
    ) -> Result<Written, Box<dyn Error>> {
        self.pack(&[&self.hello], &self.spec(), &unchecked(), format, place)
    }

    /// Returns how many bytes of tar were made since the last call.
    pub(crate) fn take_encoded(&self) -> u64 {
        self.encoded.swap(0, Ordering::Relaxed)
    }

    /// Removes a file of `hello` from the store.
    pub(crate) fn damage_hello(&self) -> io::Result<()> {
        let share = self.store.real_path(&self.hello.path).join("share");
        fs::set_permissions(&share, fs::Permissions::from_mode(0o755))?;
        fs::remove_file(share.join("text"))
    }

    /// Names that are left beside the outputs.
    pub(crate) fn left_overs(&self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let mut found = Vec::new();
        for entry in self.outputs.path().read_dir()? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

/// How images are made whose programs are made up.
pub(crate) fn unchecked() -> PackOptions {
    PackOptions {
        check_start: false,
        ..PackOptions::default()
    }
}

/// One entry: path, mode, and the target or the contents.
pub(crate) type Listed = (String, u32, Vec<u8>);

/// Lists a tar by another reader than ours.
pub(crate) fn list_tar(tar: impl Read) -> Result<Vec<Listed>, Box<dyn Error>> {
    let mut archive = tar::Archive::new(tar);
    let mut list = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8(entry.path_bytes().into_owned())?;
        let mut contents = entry.link_name_bytes().unwrap_or_default().into_owned();
        entry.read_to_end(&mut contents)?;
        list.push((path, entry.header().mode()?, contents));
    }
    Ok(list)
}

/// Lists all layers of an archive or layout in order.
pub(crate) fn list_layers(archive: &Path) -> Result<Vec<Listed>, Box<dyn Error>> {
    let members = list_tar(File::open(archive)?)?;
    let find = |name: &str| {
        members
            .iter()
            .find(|(path, ..)| path == name)
            .ok_or("no such member")
    };
    let listed: serde_json::Value = serde_json::from_slice(&find("manifest.json")?.2)?;
    let mut entries = Vec::new();
    for layer in listed[0]["Layers"].as_array().ok_or("no layers")? {
        let (_, _, blob) = find(layer.as_str().ok_or("no name")?)?;
        entries.extend(list_tar(flate2::read::MultiGzDecoder::new(&blob[..]))?);
    }
    Ok(entries)
}
